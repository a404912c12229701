package cli

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"directormesh/cli/door/httpapi"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/cli/door/httpapi/openapitest"
)

var loadDescription = sync.OnceValues(func() (*openapitest.Description, error) {
	return openapitest.Load(httpapi.OpenAPI())
})

// description is that of what directors answer and commands print.
func description(t *testing.T) *openapitest.Description {
	t.Helper()
	d, err := loadDescription()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// printed are command lines, each behind the name of what it prints in openapitest/commands.go.
var printed = []struct{ name, line string }{
	{"status", "status"}, {"status -v", "status -v"}, {"status USER", "status alice"},
	{"health", "health"}, {"lookup", "lookup alice"}, {"lookup -f", "lookup -f -"},
	{"map", "map"}, {"map", "map -f -"}, {"map -h", "map -h 1 -f -"}, {"map -u", "map -u alice"},
	{"dump", "dump"}, {"history", "history"}, {"history USER", "history alice"},
	{"ring status", "ring status"}, {"keys list", "keys list"}, {"version", "version"},
	{"add", "add 192.0.2.7"}, {"update", "update 192.0.2.51 50"}, {"remove", "remove 192.0.2.51"},
	{"up", "up 192.0.2.51"}, {"down", "down 192.0.2.51"}, {"move", "move alice 192.0.2.51"},
	{"kick", "kick alice"}, {"flush -F", "flush -F 192.0.2.51"},
	{"flush --cancel", "flush --cancel"},
	{"flush", "flush 192.0.2.51"},
	{"drain", "drain 192.0.2.51"}, {"undrain", "undrain 192.0.2.51"}, {"rebalance", "rebalance"},
	{"ring add", "ring add 192.0.2.9"}, {"ring remove", "ring remove 192.0.2.9"},
	{"pin", "pin alice 192.0.2.51"}, {"unpin", "unpin alice"}, {"pins", "pins"},
	{"balance", "balance"}, {"balance reset", "balance --reset"},
	{"watch", "watch -n 1 --once"}, {"who", "who"}, {"doctor", "doctor"},
	{"reload", "reload"}, {"keys rotate", "keys rotate"},
	{"plan add", "plan add 192.0.2.7"}, {"plan update", "plan update 192.0.2.51 1"},
	{"plan remove", "plan remove 192.0.2.51"}, {"plan up", "plan up 192.0.2.51"},
	{"plan down", "plan down 192.0.2.51"}, {"plan drain", "plan drain 192.0.2.51"},
	{"plan undrain", "plan undrain 192.0.2.51"}, {"plan rebalance", "plan rebalance"},
	{"plan flush", "plan flush all"}, {"plan pin", "plan pin alice 192.0.2.51"},
	{"plan unpin", "plan unpin alice"}, {"pin --plan", "pin --plan alice 192.0.2.51"},
	{"unpin --plan", "unpin --plan alice"},
	{"add --plan", "add --plan 192.0.2.7"}, {"update --plan", "update --plan 192.0.2.51 1"},
	{"remove --plan", "remove --plan 192.0.2.51"}, {"up --plan", "up --plan 192.0.2.51"},
	{"down --plan", "down --plan 192.0.2.51"}, {"drain --plan", "drain --plan 192.0.2.51"},
	{"undrain --plan", "undrain --plan 192.0.2.51"}, {"rebalance --plan", "rebalance --plan"},
	{"flush --plan", "flush --plan all"},
	{"keys add", "keys add"}, {"keys use", "keys use 0123456789abcdef"},
	{"keys remove", "keys remove 0123456789abcdef"},
}

// elsewhere are commands whose JSON other tests check, because they need more than a director.
var elsewhere = []string{"bench", "import", "data inspect"}

// What commands print with --json is as it is described.
func TestJSONIsAsDescribed(t *testing.T) {
	d := description(t)
	socket := httpapitest.Serve(t, httpapitest.Sample(), zerolog.Nop())
	tried := make(map[string]bool)
	for _, p := range printed {
		schema, ok := d.Commands()[p.name]
		if !ok {
			t.Errorf("%s: no schema in openapitest/commands.go", p.name)
			continue
		}
		args := append(strings.Fields(p.line), "--json")
		if p.name != "version" {
			args = append(args, "-a", socket)
		}
		r := runCommand(t, "USER@example.com\nnobody\n", args...)
		if r.stdout == "" {
			t.Errorf("%s prints nothing: %+v", p.line, r)
			continue
		}
		tried[p.name] = true
		if err := d.Check(schema, r.stdout); err != nil {
			t.Errorf("%s --json is not the %s of openapi.json: %v", p.line, schema, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Commands())) {
		if !tried[name] && !slices.Contains(elsewhere, name) {
			t.Errorf("%s: no command line in printed, in cli/json_test.go", name)
		}
	}
	checkFlags(t, d, "", new(invocation).app().Commands)
}

// checkFlags demands that each command that takes --json is described.
func checkFlags(
	t *testing.T, d *openapitest.Description, parent string, commands []*cli.Command,
) {
	t.Helper()
	for _, c := range commands {
		name := strings.TrimSpace(parent + " " + c.Name)
		takes := slices.ContainsFunc(c.Flags, func(f cli.Flag) bool {
			return f.Names()[0] == "json"
		})
		if _, ok := d.Commands()[name]; takes && !ok {
			t.Errorf("%s takes --json, and openapitest/commands.go does not say what it prints",
				name)
		}
		checkFlags(t, d, name, c.Subcommands)
	}
}

// With --json an error is JSON, on stderr, with the director's code or one of the command's own.
func TestJSONErrors(t *testing.T) {
	for line, code := range map[string]string{
		"status --json -a /no/such.sock": "unreachable",
		"status a b c --json":            "usage",
		"nonsense --json":                "usage",
		"status --json --nonsense":       "usage",
		"lookup -f /no/such/file --json": "not_possible",
	} {
		r := runCommand(t, "", strings.Split(line, " ")...)
		said := strings.HasPrefix(r.stderr, `{"error":{"code":"`+code+`","message":"`)
		if r.stdout != "" || !said {
			t.Errorf("%s: %+v, want code %s", line, r, code)
		}
		if err := description(t).Check("Failure", r.stderr); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	// Behind -- it is no flag.
	if r := runCommand(t, "", "lookup", "-a", "/no/such.sock", "--", "--json"); !strings.HasPrefix(
		r.stderr, "Error: ") {
		t.Errorf("a user called --json: %+v", r)
	}
}
