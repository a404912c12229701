package program

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvironment(t *testing.T) {
	own := map[string]string{
		"PATH": "/bin", "TZ": "UTC", "DIRECTOR_CONFIG": "/etc/x", "LISTEN_FDS": "3",
		"NOTIFY_SOCKET": "/run/x", "SECRET": "y",
	}
	got := Environment(func(name string) (string, bool) { v, ok := own[name]; return v, ok })
	if diff := cmp.Diff([]string{"PATH=/bin", "TZ=UTC"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if none := Environment(func(string) (string, bool) { return "", false }); none == nil {
		t.Error("an empty environment is nil, which gives the whole one")
	}
}
