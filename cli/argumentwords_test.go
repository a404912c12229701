package cli

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// hostPlaces returns the places at which a command takes HOST, as "flush 0", from the usage of its
// arguments: alternatives are separated by |, what may be left out is in brackets.
func hostPlaces(name, usage string) (places []string) {
	plain := strings.NewReplacer("[", "", "]", "").Replace(usage)
	for alternative := range strings.SplitSeq(plain, "|") {
		arguments := 0
		for word := range strings.FieldsSeq(alternative) {
			if strings.HasPrefix(word, "-") {
				break // a flag, its value, and nothing behind
			}
			if word == "HOST" {
				places = append(places, fmt.Sprintf("%s %d", name, arguments))
			}
			arguments++
		}
	}
	return places
}

// TestHostsAreCompleted demands that shells complete the name of a backend wherever a command takes
// one. Only add takes one that is not there yet.
func TestHostsAreCompleted(t *testing.T) {
	completed := make(map[string]bool)
	for _, a := range argumentWords {
		completed[a.command] = slices.Contains(strings.Fields(a.words), "(status)")
	}
	var check func(prefix string, commands []*cli.Command)
	found := 0
	check = func(prefix string, commands []*cli.Command) {
		for _, c := range commands {
			name := prefix + c.Name
			check(name+" ", c.Subcommands)
			for _, place := range hostPlaces(name, c.ArgsUsage) {
				if found++; !completed[place] && name != "add" && name != "plan add" {
					t.Errorf("argumentWords lacks %q: %s takes a HOST there", place, name)
				}
			}
		}
	}
	check("", new(invocation).app().Commands)
	if found < 7 {
		t.Fatalf("only %d commands take a HOST", found)
	}
}
