package api

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "",
		"d1.example.org":             "d1.example.org",
		`DOM\jürgen`:                 `DOM\jürgen`,
		"a\x1b[2Jb":                  `a\x1b[2Jb`,
		"one\ntwo\tthree\r":          `one\ntwo\tthree\x0d`,
		"\u009b31m":                  `\x9b31m`,
		"user\u202egpj.exe":          `user\u202egpj.exe`,
		"zero\u200bwidth\U000e0001x": `zero\u200bwidth\ue0001x`,
		"b\xffd":                     `b\xffd`,
		"\x7f":                       `\x7f`,
	} {
		if got := Visible(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// What was made visible has nothing hidden left, and JSON still means the same.
func TestVisibleLeavesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		if got := Visible(s); hidden(got) {
			t.Fatalf("%q becomes %q", s, got)
		}
		raw, err := json.MarshalIndent(map[string]string{"text": s}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		var want, got map[string]string
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(VisibleJSON(raw), &got); err != nil {
			t.Fatalf("%s: %v", VisibleJSON(raw), err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}
