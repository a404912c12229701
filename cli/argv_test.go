package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Flags may stand anywhere; urfave/cli gets them in its own order.
func TestParseLine(t *testing.T) {
	tests := []struct{ in, want string }{
		{"status", "status --"},
		{"-a X status", "status -a X --"},
		{"--addr=X --json status alice", "status --addr=X --json -- alice"},
		{"move alice 192.0.2.2 --wait -a X", "move --wait -a X -- alice 192.0.2.2"},
		{"move --wait alice 192.0.2.2", "move --wait -- alice 192.0.2.2"},
		{"-aX status", "status -a X --"},
		{"status -a/run/x.sock", "status -a /run/x.sock --"},
		{"add -t ssd 192.0.2.1 -1", "add -t ssd -- 192.0.2.1 -1"},
		{"lookup -- -a --json", "lookup -- -a --json"},
		{"lookup -f - -a X", "lookup -f - -a X --"},
		{"map -h 5", "map --hash 5 --"},
		{"map -h=5 -f F", "map --hash=5 -f F --"},
		{"map -h 1", "map --hash 1 --"},
		{"ring -a X status --json", "ring status -a X --json --"},
		{"ring add 192.0.2.1 9090 -a X", "ring add -a X -- 192.0.2.1 9090"},
		{"status help", "status -- help"},
		{"flush -F all", "flush -F -- all"},
	}
	commands := (&invocation{}).app().Commands
	for _, tt := range tests {
		line, err := parseLine(commands, append([]string{"director"}, strings.Fields(tt.in)...))
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff("director "+tt.want, strings.Join(line.argv(), " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.in, diff)
		}
		if line.help {
			t.Errorf("%s: taken for a question for help", tt.in)
		}
	}
}

func TestParseLineHelp(t *testing.T) {
	commands := (&invocation{}).app().Commands
	for in, command := range map[string]string{
		"help": "", "-h": "", "--help": "", "help status": "status", "status -h": "status",
		"status --help alice": "status",
		"map --help":          "map", "ring -h": "ring", "ring help": "ring",
		"help ring add": "add", "ring add -h": "add",
	} {
		line, err := parseLine(commands, append([]string{"director"}, strings.Fields(in)...))
		if err != nil || !line.help {
			t.Errorf("%s: %+v, %v; want help", in, line, err)
			continue
		}
		got := ""
		if line.command != nil {
			got = line.command.Name
		}
		if got != command {
			t.Errorf("%s: help of %q, want %q", in, got, command)
		}
	}
}
