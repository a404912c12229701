package daemon

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/kick"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

func TestSessionsKickers(t *testing.T) {
	tests := []struct {
		name     string
		settings map[string]string
		want     []kick.Kicker // nil: None
		relay    bool          // it wants to know who logs in
	}{
		{"none", nil, nil, false},
		{"command", map[string]string{"kick-command": "/bin/echo"},
			[]kick.Kicker{&kick.Command{}}, false},
		{"ipc", map[string]string{"kick-ipc": "/run/dovecot/ipc"}, []kick.Kicker{kick.IPC{}}, true},
		{"anvil and command",
			map[string]string{"kick-anvil": "/run/dovecot/anvil", "kick-command": "/bin/echo"},
			[]kick.Kicker{kick.Anvil{}, &kick.Command{}}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, kickers, err := newSessions(testOptions(t, tt.settings), zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			var want, got []string
			for _, k := range tt.want {
				want = append(want, fmt.Sprintf("%T", k))
			}
			for _, k := range kickers {
				got = append(got, fmt.Sprintf("%T", k))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("kickers (-want +got):\n%s", diff)
			}
			if _, none := s.kicker.(kick.None); none != (tt.want == nil) {
				t.Errorf("kicker is a %T", s.kicker)
			}
			if (s.seen() != nil) != tt.relay || (s.mark() != nil) != tt.relay {
				t.Errorf(
					"the login door is asked to tell who logs in: %v, and to mark: %v; want %v",
					s.seen() != nil, s.mark() != nil, tt.relay)
			}
		})
	}
}

func TestSessionsMark(t *testing.T) {
	s, _, err := newSessions(testOptions(t, map[string]string{"kick-ipc": "/run/dovecot/ipc"}),
		zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if got, want := s.mark()(3045693125, addr1, false),
		"user_director=3045693125@"+ring.AddrText(addr1); got != want {
		t.Errorf("mark %q, want %q", got, want)
	}
	if got := s.mark()(3045693125, addr1, true); got != "" {
		t.Errorf("a session whose login name tells whose it is has the mark %q", got)
	}
}

// Names are users of their own in each tag.
func TestSeveralTags(t *testing.T) {
	addr2 := netip.MustParseAddr("192.0.2.222")
	for _, tt := range []struct {
		tags    []ring.Tag
		several bool
	}{
		{nil, false}, {[]ring.Tag{"ssd"}, false}, {[]ring.Tag{"", ""}, false},
		{[]ring.Tag{"", "ssd"}, true},
	} {
		var rows []replica.BackendStatus
		for i, tag := range tt.tags {
			rows = append(rows, replica.BackendStatus{
				Backend: ring.Backend{Addr: []netip.Addr{addr1, addr2}[i], Tag: tag},
			})
		}
		known := tagsOf(rows, time.Now())
		if known.several != tt.several || len(known.tags) != len(tt.tags) {
			t.Errorf("%q: %+v", tt.tags, known)
		}
	}
}

func TestSessionsHash(t *testing.T) {
	s, _, err := newSessions(testOptions(t, map[string]string{"master-user-separator": "*"}),
		zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.hash("Alice*master"), s.options.UsernameHash.Hash("alice"); got != want {
		t.Errorf("hash of a master login is %v, want %v", got, want)
	}
}

func TestTagsOf(t *testing.T) {
	now := time.Now()
	got := tagsOf([]replica.BackendStatus{
		{Backend: ring.Backend{Addr: addr1}},
		{Backend: ring.Backend{Addr: addr2, Tag: "ssd"}},
	}, now)
	want := map[netip.Addr]ring.Tag{addr1: "", addr2: "ssd"}
	diff := cmp.Diff(want, got.tags, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }))
	if diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if !got.until.After(now) {
		t.Error("what is known is never used")
	}
}

func TestSessionsInterval(t *testing.T) {
	tests := []struct {
		interval, expire, share time.Duration
		want                    time.Duration
	}{
		{45 * time.Second, 15 * time.Minute, 45 * time.Second, 45 * time.Second},
		{45 * time.Second, 10 * time.Second, 20 * time.Second, 8 * time.Second},
		{5 * time.Second, 10 * time.Second, 20 * time.Second, 5 * time.Second},
	}
	for _, tt := range tests {
		if got := listEvery(tt.interval, tt.expire, tt.share); got != tt.want {
			t.Errorf("with interval %v, expire %v, share %v: every %v, want %v",
				tt.interval, tt.expire, tt.share, got, tt.want)
		}
	}
}

func TestSessionSettingsRefused(t *testing.T) {
	for name, value := range map[string]string{
		"kick-ipc":          "run/dovecot/ipc",
		"kick-anvil":        "anvil",
		"sessions-interval": "10ms",
		"flush-socket":      "/run/flush",
	} {
		if _, err := Load(map[string]string{name: value}, "", SystemEnvironment()); err == nil {
			t.Errorf("--%s %s was accepted", name, value)
		}
	}
}
