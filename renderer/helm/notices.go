package helm

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
)

// Logs is where the library's log is to go: what concerns the chart becomes warnings of its render, the rest is dropped.
// Nothing of it reaches a log, because some of it quotes values. Install it once, before anything is rendered.
func Logs() slog.Handler { return &notices }

// notices collects what the library logs during the one render at a time. What is logged at other times is dropped: nobody
// would ever fetch it.
var notices collector

type collector struct {
	guard      sync.Mutex
	collecting bool
	texts      []string
}

// collectNotices begins a render, and returns what ends it.
func collectNotices() func() []string {
	turn := func(on bool) []string {
		notices.guard.Lock()
		defer notices.guard.Unlock()
		taken := notices.texts
		notices.collecting, notices.texts = on, nil
		return taken
	}
	turn(true)
	return func() []string { return turn(false) }
}

// quotedValue finds a value at the end of a message: values may be secret.
var quotedValue = regexp.MustCompile(`(?s) \(.*\)\.?\s*$`)

// shownAttributes are those that name a place in a chart. No other one is shown.
var shownAttributes = map[string]bool{"path": true, "chart": true, "tag": true}

func (c *collector) Enabled(context.Context, slog.Level) bool { return true }

func (c *collector) Handle(_ context.Context, record slog.Record) error {
	message := record.Message
	// What comes by way of the older log package has no level.
	text, marked := strings.CutPrefix(message, "warning: ")
	if record.Level < slog.LevelWarn && !marked {
		return nil
	}
	text = quotedValue.ReplaceAllString(text, "")
	record.Attrs(func(attribute slog.Attr) bool {
		if shownAttributes[attribute.Key] {
			text += fmt.Sprintf(", %s %q", attribute.Key, attribute.Value)
		}
		return true
	})
	c.guard.Lock()
	defer c.guard.Unlock()
	if c.collecting {
		c.texts = append(c.texts, "Helm says: "+strings.TrimSpace(text))
	}
	return nil
}

func (c *collector) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *collector) WithGroup(string) slog.Handler      { return c }
