package cli

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/cli/handover"
)

// leaves calls f for each command that does something itself, with its words ("ring add").
func leaves(commands []*cli.Command, f func(c *cli.Command, words, category string)) {
	for _, c := range commands {
		if c.Subcommands == nil {
			f(c, strings.TrimPrefix(c.HelpName, "director "), c.Category)
			continue
		}
		leaves(c.Subcommands, func(sub *cli.Command, words, _ string) { f(sub, words, c.Category) })
	}
}

// read returns all files of a pattern, one after the other.
func read(t *testing.T, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(paths), err)
	}
	var all strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// TestCommandsAreDocumented wants each command in the table of cli/doc/commands.md.
func TestCommandsAreDocumented(t *testing.T) {
	page := read(t, filepath.Join("doc", "commands.md"))
	leaves((&invocation{}).app().Commands, func(_ *cli.Command, words, _ string) {
		if !regexp.MustCompile("(?m)^\\|.*`" + words + "[ `].* \\|$").MatchString(page) {
			t.Errorf("commands.md has no row with %s", words)
		}
	})
}

// TestChangesAreScripted wants a script in which each command that changes something succeeds, and
// one in which it is given each of the flags that it does not share with all others.
func TestChangesAreScripted(t *testing.T) {
	scripts := read(t, filepath.Join("testdata", "script", "*.txtar"))
	changing := []string{categoryBackends, categoryUsers, categoryMesh}
	leaves((&invocation{}).app().Commands, func(c *cli.Command, words, category string) {
		if !slices.Contains(changing, category) || words == "import" { // TestImport
			return
		}
		call := regexp.MustCompile(`(?m)^(until \S+ |begin )?director ` + words + `( |$)`)
		if !call.MatchString(scripts) {
			t.Errorf("in no script \"director %s\" succeeds", words)
		}
		for _, flag := range c.Flags {
			if isAccessFlag(flag) ||
				slices.Contains([]string{"addr", "json", "verbose"}, flag.Names()[0]) {
				continue
			}
			given := regexp.MustCompile(`(?m)director ` + words + `( .*)? (` +
				strings.Join(typed(flag), "|") + `)\b`)
			if !given.MatchString(scripts) {
				t.Errorf("no script gives \"director %s\" the flag --%s", words, flag.Names()[0])
			}
		}
	})
}

// TestEachOperationHasACommand wants a command for each operation of the API.
func TestEachOperationHasACommand(t *testing.T) {
	var source strings.Builder
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if !strings.HasSuffix(path, "_test.go") {
			source.WriteString(read(t, path))
		}
	}
	for _, op := range api.Operations() {
		name := reflect.TypeOf(op).Name()
		if !regexp.MustCompile(`\bapi\.` + name + `[({]`).MatchString(source.String()) {
			t.Errorf("no command gives the operation %s", name)
		}
	}
}

// TestHoldNamesItsKinds wants each kind of socket that hold can open in its help, and in the error
// about a kind that there is not.
func TestHoldNamesItsKinds(t *testing.T) {
	help := runCommand(t, "", "help", "hold").stdout
	_, unknown := handover.ParseSpec("x=/run/x")
	for _, k := range handover.Kinds() {
		_, err := handover.ParseSpec(string(k) + "=/run/x")
		for _, text := range []string{help, unknown.Error()} {
			named := regexp.MustCompile(`\b` + string(k) + `\b`).MatchString(text)
			if named != (err == nil) {
				t.Errorf("hold opens %s: %v, it is named: %v, in\n%s", k, err == nil, named, text)
			}
		}
	}
}
