package daemon

import (
	"maps"
	"strings"
	"testing"
	"time"

	"directormesh/cli/api"
)

// checkup asks a director until its findings are these codes, each with its director.
func checkup(t *testing.T, r *running, want string) api.Checkup {
	t.Helper()
	c := client(t, r.options.SocketPath())
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		found, err := c.Doctor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, f := range found.Findings {
			words = append(words, strings.TrimSpace(f.Code+" "+f.Director))
		}
		if got := strings.Join(words, ", "); got == want {
			return found
		} else if time.Now().After(deadline) {
			t.Fatalf("found %q, want %q: %+v", got, want, found)
		}
	}
}

// Nothing is found in a healthy mesh of real directors; what is made to go wrong is, and at
// whichever director it is asked.
func TestDoctor(t *testing.T) {
	alone := map[string]string{
		"kick-command": "true", "auth-login-socket": "", "auth-userdb-socket": "",
	}
	d1 := start(t, testOptions(t, alone), nil)
	d1.state(t, "READY=1")
	join := maps.Clone(alone)
	join["node-name"], join["join"] = "d2", d1.MeshAddr().String()
	d2 := start(t, testOptions(t, join), nil)
	d2.state(t, "READY=1")
	for _, r := range []*running{d1, d2} {
		found := checkup(t, r, "")
		if found.Verdict != api.VerdictHealthy || len(found.Directors) != 2 ||
			found.Directors[0].Version != "1.2.3" || found.Directors[1].Version != "1.2.3" {
			t.Errorf("%+v", found)
		}
	}
	join["node-name"], join["user-kick-delay"] = "d3", "1s"
	delete(join, "kick-command")
	options := testOptions(t, join)
	d3 := startConfig(t, Config{
		Options: options, Wall: func() time.Time { return time.Now().Add(-90 * time.Second) },
	})
	d3.state(t, "READY=1")
	found := checkup(t, d1, "no_kicker d3, clock d3, settings")
	if found.Verdict != api.VerdictWarning {
		t.Errorf("verdict %q", found.Verdict)
	}
	if err := d3.Close(); err != nil {
		t.Error(err)
	}
	if found := checkup(t, d2, "unreachable d3"); found.Verdict != api.VerdictProblem {
		t.Errorf("verdict %q", found.Verdict)
	}
}
