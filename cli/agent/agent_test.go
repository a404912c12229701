package agent

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestParseIdle(t *testing.T) {
	for _, test := range []struct {
		line    string
		percent int
		ok      bool
	}{
		{"75%\n", 75, true}, {"up 75%\r\n", 75, true}, {"up,75%", 75, true},
		{"\tready\tup\t0%\n", 0, true}, {"drain maxconn:30 100% #busy\n", 100, true},
		{"256%\n", 256, true}, {"300%\n", 300, true}, {"65536%\n", 0, false},
		{"-1%\n", 0, false}, {"+5%\n", 0, false},
		{"up\n", 0, false}, {"", 0, false}, {"75\n", 0, false}, {"7 5%\n", 5, true},
		{"%\n", 0, false}, {"1.5%\n", 0, false}, {"down\r50%\n", 0, false},
		{"99999999999999999999%\n", 0, false},
	} {
		if got, ok := parseIdle(test.line); got != test.percent || ok != test.ok {
			t.Errorf("%q: %d, %v, want %d, %v", test.line, got, ok, test.percent, test.ok)
		}
	}
}

// serve is an agent that says something to everybody who connects, and closes if it is to.
func serve(t *testing.T, says string, closes bool) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(conn, says)
			if closes {
				conn.Close()
				continue
			}
			defer conn.Close()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

func TestBusy(t *testing.T) {
	for _, test := range []struct {
		name, says string
		closes     bool
		want       int
		err        string
	}{
		{"idle", "up 99%\n", true, 1, ""},
		{"over 100", "up 150%\n", true, 0, ""},
		{"no end of line", "up 20%", true, 80, ""},
		{"stays open", "up 20%\n", false, 80, ""},
		{"says nothing", "", true, 0, "without a percentage"},
		{"says no percentage", "up\x1b[2J\n", true, 0, `"up\x1b[2J\n"`},
		{"never ends", strings.Repeat("up ", 1000), false, 0, "without a percentage"},
		{"hangs", "up 2", false, 0, "i/o timeout"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			got, err := Busy(ctx, serve(t, test.says, test.closes))
			if got != test.want || (err == nil) != (test.err == "") ||
				err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("%d, %v; want %d, %q", got, err, test.want, test.err)
			}
		})
	}
	_, err := Busy(t.Context(), netip.MustParseAddrPort("127.0.0.1:1"))
	if err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody there: %v", err)
	}
}

func FuzzParseIdle(f *testing.F) {
	for _, line := range []string{"75%\n", "up 75%\r\n", "drain\n", "ready,up,0%\n", "\xff%"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		percent, ok := parseIdle(line)
		if percent < 0 || !ok && percent != 0 {
			t.Errorf("%q: %d, %v", line, percent, ok)
		}
	})
}
