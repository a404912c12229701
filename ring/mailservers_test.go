package ring

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var errNoSuchHost = errors.New("no such host")

// fakeResolve knows a few host names.
func fakeResolve(host string) ([]Target, error) {
	known := map[string][]string{
		"mail.example.org":       {"192.0.2.7"},
		"multi.example.org":      {"2001:db8::7", "192.0.2.9", "::ffff:192.0.2.8", "192.0.2.9"},
		"10-mail.example.org":    {"192.0.2.10"},
		"192.0.2.1-rack":         {"192.0.2.11"},
		"empty.example.org":      {},
		"scoped.example.org":     {"fe80::1%eth0"},
		"same.example.org":       {"192.0.2.7"},
		"underscore_host":        {"192.0.2.12"},
		"Mixed-Case.Example.1a":  {"192.0.2.13"},
		"_imap._tcp.example.org": {"192.0.2.14", "192.0.2.15"},
	}
	if host == "later.example.org" {
		return nil, fmt.Errorf("lookup %s: %w", host, ErrLater)
	}
	texts, ok := known[strings.TrimSuffix(host, ".")]
	if !ok {
		return nil, fmt.Errorf("lookup %s: %w", host, errNoSuchHost)
	}
	var targets []Target
	for i, s := range texts {
		t := Target{Addr: netip.MustParseAddr(s), VHosts: DefaultVHosts}
		if host[0] == '_' {
			t.VHosts, t.Standby = 20+i, i > 0
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// backendText is a backend as "address[@tag][ (name)]".
func backendText(b Backend) string {
	s := AddrText(b.Addr)
	if b.Tag != "" {
		s += "@" + string(b.Tag)
	}
	if b.Name != "" {
		s += " (" + b.Name + ")"
	}
	if b.VHosts != DefaultVHosts {
		s += fmt.Sprint(" ", b.VHosts)
	}
	if b.Standby {
		s += " standby"
	}
	return s
}

func TestParseMailServers(t *testing.T) {
	for _, c := range []struct {
		list string
		want []string
	}{
		{"", nil},
		{" \t\n", nil},
		{"later.example.org 192.0.2.1", []string{"192.0.2.1"}},
		{"_imap._tcp.example.org@x", []string{
			"192.0.2.14@x (_imap._tcp.example.org) 20",
			"192.0.2.15@x (_imap._tcp.example.org) 21 standby",
		}},
		{"192.0.2.1", []string{"192.0.2.1"}},
		{"  192.0.2.2\n192.0.2.1\t", []string{"192.0.2.1", "192.0.2.2"}},
		{"fd00::5 [fd00::6]", []string{"fd00::5", "fd00::6"}},
		{"fd00::2 203.0.113.1 192.0.2.1 ::1",
			[]string{"192.0.2.1", "203.0.113.1", "::1", "fd00::2"}},
		{"192.0.2.8-192.0.2.11", []string{"192.0.2.8", "192.0.2.9", "192.0.2.10", "192.0.2.11"}},
		{"192.0.2.8-192.0.2.8", []string{"192.0.2.8"}},
		{"192.0.2.254-192.0.2.255", []string{"192.0.2.254", "192.0.2.255"}},
		{"255.255.255.254-255.255.255.255", []string{"255.255.255.254", "255.255.255.255"}},
		{"fd00::9-fd00::a", []string{"fd00::9", "fd00::a"}},
		{"[fd00::9]-[fd00::a]@ssd", []string{"fd00::9@ssd", "fd00::a@ssd"}},
		{"::ffff:192.0.2.255-::ffff:192.0.3.0", []string{"::ffff:192.0.2.255", "::ffff:192.0.3.0"}},
		{"192.0.2.1 ::ffff:192.0.2.1", []string{"192.0.2.1", "::ffff:192.0.2.1"}},
		{"1-3", []string{"0.0.0.1", "0.0.0.2", "0.0.0.3"}},
		{"192.0.2.1@ssd 192.0.2.2@", []string{"192.0.2.1@ssd", "192.0.2.2"}},
		{"192.0.2.1@a@b-c", []string{"192.0.2.1@a@b-c"}},
		{"mail.example.org", []string{"192.0.2.7 (mail.example.org)"}},
		{"multi.example.org@ssd", []string{
			"192.0.2.8@ssd (multi.example.org)", "192.0.2.9@ssd (multi.example.org)",
			"2001:db8::7@ssd (multi.example.org)",
		}},
		{"mail.example.org.", []string{"192.0.2.7 (mail.example.org.)"}},
		{"10-mail.example.org", []string{"192.0.2.10 (10-mail.example.org)"}},
		{"192.0.2.1-rack", []string{"192.0.2.11 (192.0.2.1-rack)"}},
		{"underscore_host Mixed-Case.Example.1a",
			[]string{"192.0.2.12 (underscore_host)", "192.0.2.13 (Mixed-Case.Example.1a)"}},
	} {
		backends, err := ParseMailServers(c.list, fakeResolve)
		if err != nil {
			t.Errorf("%q: %v", c.list, err)
			continue
		}
		var got []string
		for _, b := range backends {
			got = append(got, backendText(b))
			if b.VHosts != DefaultVHosts && b.Name[0] != '_' || b.Down {
				t.Errorf("%q: %s has %d vhosts, down: %v",
					c.list, AddrText(b.Addr), b.VHosts, b.Down)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.list, diff)
		}
	}
}

func TestParseMailServersErrors(t *testing.T) {
	const noServer = "is no address, address range or host name"
	for _, c := range []struct{ list, entry, problem string }{
		{"10.0.0.9-", "10.0.0.9-", "range has no end"},
		{"10.0.0.9-@ssd", "10.0.0.9-@ssd", "range has no end"},
		{"-10.0.0.9", "-10.0.0.9", "range has no start"},
		{"10.0.0.9-10.0.0.8", "10.0.0.9-10.0.0.8", "range ends before it starts"},
		{"10.0.0.9-10.0.1.1", "10.0.0.9-10.0.1.1",
			"range is too large: only the last 8 bits may differ"},
		{"fd00::1-fd00::1:0", "fd00::1-fd00::1:0",
			"range is too large: only the last 16 bits may differ"},
		{"10.0.0.1-fd00::9", "10.0.0.1-fd00::9", "range mixes IPv4 and IPv6"},
		{"10.0.0.1-::ffff:10.0.0.2", "10.0.0.1-::ffff:10.0.0.2", "range mixes IPv4 and IPv6"},
		{"@ssd", "@ssd", "has a tag but no address before it"},
		{"10.0.0.1:143", "10.0.0.1:143", noServer + "; give it without a port"},
		{"mail.example.org:143", "mail.example.org:143", noServer + "; give it without a port"},
		{"10.0.0.1,10.0.0.2", "10.0.0.1,10.0.0.2", "has a comma; separate the entries by spaces"},
		{"10.0.0.0/24", "10.0.0.0/24", noServer},
		{"10.0.0.300", "10.0.0.300", noServer},
		{"10.0.0.1-10.0.0.300", "10.0.0.1-10.0.0.300", noServer},
		{"10.0.0.300.", "10.0.0.300.", noServer},
		{".", ".", noServer},
		{"mail..", "mail..", noServer},
		{"unknown.example.org", "unknown.example.org",
			"unknown mail server: lookup unknown.example.org: no such host"},
		{"empty.example.org", "empty.example.org",
			"unknown mail server: the name has no address"},
		{"scoped.example.org", "scoped.example.org",
			"resolves to fe80::1%eth0, which cannot be a mail server; give an address"},
		{"10.0.0.5@ssd 10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9",
			`10.0.0.5 is also given by "10.0.0.5@ssd"; give each address once`},
		{"10.0.0.5 0xa000005", "0xa000005",
			`10.0.0.5 is also given by "10.0.0.5"; give each address once`},
		{"mail.example.org same.example.org", "same.example.org",
			`192.0.2.7 is also given by "mail.example.org"; give each address once`},
	} {
		checkMailServersError(t, c.list, mailServersProblem(c.entry, c.problem))
	}
	checkMailServersError(t, "10.0.0.1 10.0.0.9- 10.0.0.2 x:y",
		mailServersProblem("10.0.0.9-", "range has no end")+"\n"+
			mailServersProblem("x:y", noServer+"; give it without a port"))
	checkMailServersError(t, "fd00::-fd00::ffff 10.0.0.1",
		"mail servers: more than 10000 in all; check the ranges")
}

func mailServersProblem(entry, problem string) string {
	return `mail servers: "` + entry + `": ` + problem
}

func checkMailServersError(t *testing.T, list, want string) {
	t.Helper()
	backends, err := ParseMailServers(list, fakeResolve)
	if err == nil {
		t.Errorf("%q was accepted: %d backends", list, len(backends))
		return
	}
	if err.Error() != want {
		t.Errorf("%q: error\n%s\nwant\n%s", list, err, want)
	}
}

func TestParseMailServersWrapsResolveError(t *testing.T) {
	_, err := ParseMailServers("unknown.example.org", fakeResolve)
	if !errors.Is(err, errNoSuchHost) {
		t.Errorf("error %v does not wrap the resolver's", err)
	}
}

func TestHostNames(t *testing.T) {
	got := HostNames("192.0.2.1 b.example.org@x 192.0.2.2-192.0.2.9 a.example.org b.example.org@ " +
		"not:a,name _imap._tcp.example.org@y")
	want := []HostName{
		{"b.example.org", "x"}, {Host: "a.example.org"}, {Host: "b.example.org"},
		{"_imap._tcp.example.org", "y"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseMailServersWithoutResolver(t *testing.T) {
	_, err := ParseMailServers("192.0.2.1 mail.example.org", nil)
	if err == nil || !strings.Contains(err.Error(), "cannot be used here") {
		t.Errorf("error %v, want one about host names", err)
	}
}

func FuzzParseMailServers(f *testing.F) {
	for _, list := range []string{
		"192.0.2.1 fd00::5 [fd00::6]", "10.0.0.1-10.0.0.20@ssd", "fd00::1-fd00::a", "1-3",
		"mail.example.org", "multi.example.org@a@b", "10.0.0.9-", "-", "@", "fd00::-fd00::ffff",
		"10.0.0.1,10.0.0.2", "::ffff:192.0.2.5-::ffff:192.0.2.9", "192.0.2.7 mail.example.org",
	} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		backends, err := ParseMailServers(list, fakeResolve)
		if err != nil {
			if backends != nil || !strings.HasPrefix(err.Error(), "mail servers: ") {
				t.Errorf("%q: %d backends and the error %q", list, len(backends), err)
			}
			return
		}
		var rewritten []string
		for i, b := range backends {
			if i > 0 && CompareAddr(backends[i-1].Addr, b.Addr) >= 0 {
				t.Errorf("%q: %v comes after %v", list, b.Addr, backends[i-1].Addr)
			}
			rewritten = append(rewritten, AddrText(b.Addr)+"@"+string(b.Tag))
		}
		// Spelt out address by address, the list means the same, but for the names.
		again, err := ParseMailServers(strings.Join(rewritten, " "), nil)
		if err != nil {
			t.Fatalf("%q: %v", list, err)
		}
		sameButName := func(a, b Backend) bool {
			a.Name, a.VHosts, a.Standby = "", b.VHosts, b.Standby
			return a == b
		}
		if !slices.EqualFunc(backends, again, sameButName) {
			t.Errorf("%q means %v, spelt out %v", list, backends, again)
		}
	})
}
