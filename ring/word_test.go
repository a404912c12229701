package ring

import (
	"strings"
	"testing"
)

func TestCheckWord(t *testing.T) {
	for name, good := range map[string]bool{
		"d1":                         true,
		"director-2.example.org":     true,
		"größe":                      true,
		"名":                          true,
		strings.Repeat("x", MaxName): true,

		"":                             false,
		strings.Repeat("x", MaxName+1): false,
		"a b":                          false,
		"a\tb":                         false,
		"a\n":                          false,
		"a\x00":                        false,
		"\x1b[2J":                      false,
		"a\x7f":                        false,
		"a\u009b2J":                    false, // ESC [ in one character
		"a\u00a0b":                     false,
		"a\u202eb":                     false, // turns the line around
		"a\u200bb":                     false, // no width
		"a\ufffd":                      false,
		"a\xff":                        false,
	} {
		if err := CheckWord(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"peer said: no":         "peer said: no",
		"über":                  "über",
		"two\nlines\tand a tab": "two lines and a tab",
		"\x1b[31mred":           "?[31mred",
		"\u202eback\u009b":      "?back?",
		"a\xffb\ufffd":          "a?b?",
	} {
		got := Printable(in)
		if got != want || Printable(got) != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestCheckHostName(t *testing.T) {
	for name, good := range map[string]bool{
		"mail.example.org":             true,
		"m_1":                          true,
		"evil=nologin":                 false,
		"evil\tnologin":                false,
		"mail:143":                     false,
		"":                             false,
		strings.Repeat("x", MaxName+1): false,
	} {
		if err := CheckHostName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
