package daemon

import (
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A start says loudly what a director lacks: a key, and a way to end sessions.
func TestStartSaysWhatIsMissing(t *testing.T) {
	const noKey, noKicker = "the mesh has no key", "this director cannot end sessions"
	for _, test := range []struct {
		name     string
		settings map[string]string
		says     []string
	}{
		{"both", nil, []string{noKey, noKicker}},
		{"kicker", map[string]string{"encrypt-key-file": "/keys"}, []string{noKicker}},
		{"key", map[string]string{"kick-command": "/bin/true"}, []string{noKey}},
		{"nothing", map[string]string{"encrypt-key-file": "/keys", "kick-command": "/bin/true"},
			nil},
	} {
		settings := map[string]string{
			"node-name": "d1", "bind": "127.0.0.1:0", "run-dir": socketDir(t),
		}
		for name, value := range test.settings {
			settings[name] = value
		}
		env := testEnvironment(nil, map[string]string{"/keys": key1})
		options, err := Load(settings, "", env)
		if err != nil {
			t.Fatal(err)
		}
		r := start(t, options, nil)
		r.signals <- syscall.SIGTERM
		if err := r.wait(t); err != nil {
			t.Error(err)
		}
		for _, text := range []string{noKey, noKicker} {
			want, found := slices.Contains(test.says, text), false
			for line := range strings.Lines(r.log.String()) {
				warns := strings.Contains(line, `"level":"warn"`)
				found = found || warns && strings.Contains(line, text)
			}
			if found != want {
				t.Errorf("%s is missing: a warning %q is %v; the log is\n%s",
					test.name, text, found, r.log)
			}
		}
	}
}
