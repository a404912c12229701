package demo_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/demo"
	"directormesh/cli/door/httpapi/httpapitest"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// TestBackends talks to a sample backend, stops it and starts it again.
func TestBackends(t *testing.T) {
	b, err := demo.Listen([]netip.Addr{loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	talk := func(says string) string {
		t.Helper()
		c, err := net.Dial("tcp", netip.AddrPortFrom(loopback, b.Port()).String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, says)
		var heard []string
		for lines := bufio.NewScanner(c); lines.Scan(); {
			heard = append(heard, lines.Text())
		}
		return strings.Join(heard, "\n")
	}
	const greeting = "* OK [CAPABILITY IMAP4rev1] sample backend"
	want := greeting + "\na BAD this backend is a sample\n* BYE\nb OK"
	if got := talk("a NOOP\r\nb LOGOUT\r\n"); got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
	b.Stop(loopback)
	if got := talk(""); got != "" {
		t.Errorf("stopped, and says %q", got)
	}
	b.Start(loopback)
	if got := talk("c LOGOUT\r\n"); got != greeting+"\n* BYE\nc OK" {
		t.Errorf("started again, and says %q", got)
	}
}

// TestPlay plays until the last act has been mended, and compares what the audience hears and what
// the directors are asked for.
func TestPlay(t *testing.T) {
	d := httpapitest.Sample()
	client, err := api.NewClient(httpapitest.Serve(t, d, zerolog.Nop()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var heard []string
	other := netip.MustParseAddr("127.0.0.2")
	s := &demo.Stage{
		Directors: []*api.Client{client}, Addrs: []netip.Addr{loopback, other}, VHosts: 100,
		Quiet: time.Millisecond, Broken: time.Millisecond,
		Stop:  func() error { heard = append(heard, "stop"); return nil },
		Start: func() error { heard = append(heard, "start"); return nil },
	}
	s.Say = func(text string) {
		if len(heard) > 0 && strings.Contains(text, "is drained") {
			cancel() // it begins anew
			return
		}
		heard = append(heard, text)
	}
	if err := s.Play(ctx); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"127.0.0.2 is drained within 20s", "the drain of 127.0.0.2 ends",
		"a director stops", "stop", "the director starts again", "start",
		"127.0.0.1 gets fewer vhosts, and a flush moves users away",
		"127.0.0.1 gets its vhosts back, and a flush",
	}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("-want +heard:\n%s", diff)
	}
	first, second := api.IP{Addr: loopback}, api.IP{Addr: other}
	ops := []api.Operation{
		api.DrainBackend{IP: second, OverMS: 20_000}, api.UndrainBackend{IP: second},
		api.UpdateBackend{IP: first, VHosts: 25}, api.FlushUsers{},
		api.UpdateBackend{IP: first, VHosts: 100}, api.FlushUsers{},
	}
	if diff := cmp.Diff(ops, d.Done(), cmp.Comparer(func(a, b netip.Addr) bool {
		return a == b
	})); diff != "" {
		t.Errorf("asked for, -want +got:\n%s", diff)
	}
}

// TestPlayEnds has the stage fall: a director that cannot be started again ends the play.
func TestPlayEnds(t *testing.T) {
	client, err := api.NewClient(httpapitest.Serve(t, httpapitest.Sample(), zerolog.Nop()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s := &demo.Stage{
		Directors: []*api.Client{client}, Addrs: []netip.Addr{loopback, loopback}, VHosts: 100,
		Stop: func() error { return nil }, Start: func() error { return fmt.Errorf("no room") },
		Say: func(string) {},
	}
	if err := s.Play(t.Context()); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("the play ended with %v", err)
	}
}
