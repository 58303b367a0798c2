package main

import "math/rand/v2"

// pieces are what random texts are made of.
var pieces = []string{"a", "b", "1", " ", " ", "  ", "\n", "\n", "\n  ", "\n    ", ":", ": ", ": ", "- ", "-", "? ", "[", "]", "{", "}", ",", ", ", "#", " #", "'", "\"", "|", ">", "|-\n", ">+\n", "&x ", "*x", "!!str ", "!t ", "<<: ", "---\n", "...\n", "\t", "\\", "\\n", "yes", "~", "01", "1e3", "é", "\r\n", "%", "@", "\u2028", "\u0085", "a: ", "\nb: ", "\n- ", "'a'", "\"b\"", "null"}

// randomTexts are the same on every run.
func randomTexts(count int) []string {
	random := rand.New(rand.NewPCG(1, 2))
	var all []string
	for range count {
		text := ""
		for range 1 + random.IntN(12) {
			text += pieces[random.IntN(len(pieces))]
		}
		all = append(all, text)
	}
	return all
}

// randomValues are the same on every run.
func randomValues(count int) []any {
	random := rand.New(rand.NewPCG(3, 4))
	var all []any
	for range count {
		all = append(all, randomValue(random, 4))
	}
	return all
}

func randomValue(random *rand.Rand, depth int) any {
	kind := random.IntN(8)
	if depth == 0 {
		kind = random.IntN(4)
	}
	switch kind {
	case 0:
		return random.Float64() * 1e7
	case 1, 2, 3, 4:
		return randomString(random)
	case 5, 6:
		value := map[string]any{}
		for range random.IntN(4) {
			value[randomString(random)] = randomValue(random, depth-1)
		}
		return value
	default:
		value := []any{}
		for range random.IntN(4) {
			value = append(value, randomValue(random, depth-1))
		}
		return value
	}
}

func randomString(random *rand.Rand) string {
	text := ""
	for range random.IntN(7) {
		text += pieces[random.IntN(len(pieces))]
	}
	return text
}
