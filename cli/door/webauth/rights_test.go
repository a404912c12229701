package webauth

import (
	"crypto/x509"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseNames(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string // nil: an error
	}{
		{"", []string{}},
		{"user:alice, user:Bob Smith ,", []string{"user:alice", "user:Bob Smith"}},
		{"cert:Prometheus.Example.ORG", []string{"cert:prometheus.example.org"}},
		{"cert:Ops@Example.ORG", []string{"cert:Ops@example.org"}},
		{"cert:2001:DB8::0:1", []string{"cert:2001:db8::1"}},
		{"cert:::ffff:192.0.2.1", []string{"cert:192.0.2.1"}},
		{"cert:spiffe://Example.org/Ops", []string{"cert:spiffe://Example.org/Ops"}},
		{"alice", nil}, {"user:", nil}, {"cert:", nil}, {"user:a:b", nil}, {"group:ops", nil},
		{"cert:a b", nil},
	} {
		got, err := ParseNames(tt.text)
		if (err != nil) != (tt.want == nil) || err == nil && strings.Join(got, ",") !=
			strings.Join(tt.want, ",") {
			t.Errorf("%q: %q, %v; want %q", tt.text, got, err, tt.want)
		}
	}
}

func TestHosts(t *testing.T) {
	hosts, err := ParseHosts(
		"Director1.example.org., 192.0.2.1:9443,[2001:db8::1]:9443,2001:db8::2")
	if err != nil {
		t.Fatal(err)
	}
	r := Rights{Hosts: hosts}
	for host, want := range map[string]bool{
		"director1.example.org": true, "DIRECTOR1.example.org:9443": true,
		"director1.example.org.:1": true, "192.0.2.1:9443": true, "192.0.2.1": false,
		"192.0.2.1:443": false, "[2001:db8::1]:9443": true, "[2001:DB8::2]:1": true,
		"[2001:db8::2]": true, "evil.example.org": false, "": false,
		"evil.director1.example.org":     false,
		"director1.example.org.evil.org": false, "director1.example.org@evil.org": false,
		"director1.example.org:0": false, "director1.example.org:x": false,
	} {
		if r.hasHost(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
	for _, bad := range []string{
		"a b", "https://a", "a/b", ".", "..", ".a", ".:1", "a:99999", "*", "ä.example.org", ":9443",
	} {
		if hosts, err := ParseHosts(bad); err == nil {
			t.Errorf("%q is %q", bad, hosts)
		}
	}
}

// FuzzHosts checks that what is configured is what a request must ask for, and nothing else.
func FuzzHosts(f *testing.F) {
	for _, host := range []string{"a", "a:1", "[::1]:1", "::1", "[::1]", "a.:2", "192.0.2.1"} {
		f.Add(host, "b")
	}
	f.Fuzz(func(t *testing.T, configured, asked string) {
		hosts, err := ParseHosts(configured)
		if err != nil {
			return
		}
		r := Rights{Hosts: hosts}
		for _, host := range hosts {
			if !r.hasHost(host) {
				t.Errorf("%q is configured and not taken", host)
			}
		}
		if r.hasHost(asked) && len(hosts) == 0 {
			t.Errorf("%q is taken, though none is configured", asked)
		}
	})
}

func TestRoleOf(t *testing.T) {
	r := Rights{Readers: []string{"user:alice", "cert:a"}, Admins: []string{"cert:b"}}
	for _, tt := range []struct {
		names []string
		who   string
		role  role
	}{
		{[]string{"user:alice"}, "user:alice", roleReader},
		{[]string{"user:a"}, "user:a", roleNone},
		{[]string{"cert:alice"}, "cert:alice", roleNone},
		{[]string{"cert:x", "cert:a"}, "cert:a", roleReader},
		{[]string{"cert:a", "cert:b"}, "cert:b", roleAdmin},
	} {
		if who, role := r.roleOf(tt.names); who != tt.who || role != tt.role {
			t.Errorf("%q is %s with role %d", tt.names, who, role)
		}
	}
}

// TestNamesOf leaves out names that could be taken for those of another kind.
func TestNamesOf(t *testing.T) {
	spiffe, err := url.Parse("spiffe://example.org/ops")
	if err != nil {
		t.Fatal(err)
	}
	got := namesOf(&x509.Certificate{
		DNSNames: []string{
			"Host.Example.org", "192.0.2.1", "ops@example.org", "spiffe://x", "a b", "a\nb", "",
		},
		EmailAddresses: []string{"ops@Example.org", "host.example.org"},
		IPAddresses:    []net.IP{net.ParseIP("192.0.2.7"), nil},
		URIs:           []*url.URL{spiffe, {Path: "host.example.org"}},
	})
	want := []string{
		"host.example.org", "ops@example.org", "192.0.2.7", "spiffe://example.org/ops",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
