// Records when the schedules of sync windows begin, as the library that Argo CD uses has it: schedule, a time, and the next
// time after it (`never`, or `bad` for what is no schedule).
//
//	go run . > ../../../crates/plan/tests/data/cron.txt
package main

import (
	"fmt"
	"math/rand"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

var written = []string{
	"* * * * *", "0 22 * * *", "*/15 * * * *", "5/20 * * * *", "0 9-17 * * 1-5", "0 9-17/2 * * MON-FRI", "0 0 1 * *", "0 0 31 * *", "0 0 29 2 *", "0 0 30 2 *",
	"0 0 1,15 * *", "0 0 13 * 5", "0 0 * * 5", "0 0 13 * *", "0 0 13 * ?", "0 0 ? * 5", "0 0 */2 * 5", "0 0 1-31 * 5", "0 0 13 * */2", "0 0 13 * 0-6", "0 0 1,* * 5",
	"0 0 * JAN,mar *", "0 0 * feb-APR sun", "59 23 31 12 *", "0 0 * * SUN,6", "1-5,10-20/3,59 */7 * * *", "0,30 8 * * *", "* * * 1-6 *", "*-5 * * * *", "1,,2 * * * *", ",5 * * * *",
	"+5 * * * *", "05 007 * * *", "0 0 L * *", "0 0 * * 7", "0 0 * * 5L", "0 0 15W * *", "0 0 * * 5#2", "@daily", "@hourly", "@every 1h", "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *",
	"* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *", "* * * * 8", "-1 * * * *", "5-1 * * * *", "*/0 * * * *", "*/ * * * *", "/5 * * * *", "1-2-3 * * * *", "*/2/3 * * * *", "a * * * *",
	"* * * mond *", "* * * * january", "* jan * * *", "1.5 * * * *", "*5 * * * *", "** * * * *", "1- * * * *", "-5 * * * *", "?/10 * * * *", "  0   22  *  * * ", "0\t22 * * *", "*/100 * * * *", "3/100 * * * *",
	"0 22 * * 1 # x", "99999999999999999999 * * * *", "*/99999999999999999999 * * * *", "5-5 * * * *", "0 0 * * 0-0", "0 0 * * sun-sat", "0 0 * * fri-mon",
}

var moments = []string{"2026-11-24T22:00", "2026-12-31T23:59", "2028-02-28T12:34", "2027-03-13T00:00"}

func field(random *rand.Rand, min, max int) string {
	one := func() string {
		low := min + random.Intn(max-min+1)
		high := low + random.Intn(max-low+1)
		switch random.Intn(6) {
		case 0:
			return "*"
		case 1:
			return fmt.Sprintf("*/%d", 1+random.Intn(max))
		case 2:
			return fmt.Sprintf("%d-%d", low, high)
		case 3:
			return fmt.Sprintf("%d-%d/%d", low, high, 1+random.Intn(5))
		case 4:
			return fmt.Sprintf("%d/%d", low, 1+random.Intn(max))
		default:
			return fmt.Sprint(low)
		}
	}
	parts := []string{one()}
	for random.Intn(3) == 0 {
		parts = append(parts, one())
	}
	return strings.Join(parts, ",")
}

func main() {
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	random := rand.New(rand.NewSource(1))
	schedules := written
	for range 400 {
		fields := []string{field(random, 0, 59), field(random, 0, 23), field(random, 1, 31), field(random, 1, 12), field(random, 0, 6)}
		schedules = append(schedules, strings.Join(fields, " "))
	}
	fmt.Println("# made by tools/oracles/cron (robfig/cron v3.0.1): schedule, time, next time after it")
	for _, schedule := range schedules {
		parsed, err := parser.Parse(schedule)
		for _, moment := range moments {
			answer := "bad"
			if err == nil {
				at, _ := time.Parse("2006-01-02T15:04", moment)
				answer = "never"
				if next := parsed.Next(at); !next.IsZero() {
					answer = next.Format("2006-01-02T15:04")
				}
			}
			fmt.Printf("%q\t%s\t%s\n", schedule, moment, answer)
			if err != nil {
				break
			}
		}
	}
}
