package cli

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
)

// Where progress cannot be drawn, there is a line now and then and one at the end.
func TestPlainProgress(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	inv := &invocation{IO: IO{Stderr: &out}}
	p := inv.newProgress(false)
	p.now = func() time.Time { return now }
	ended := now
	for _, step := range []struct {
		wait  time.Duration
		flush api.Flush
	}{
		{0, api.Flush{Scanning: true}},
		{time.Second, api.Flush{Total: 50, Scanning: true, Moved: 10}},
		{time.Second, api.Flush{Total: 60, Scanning: true, Moved: 20}},
		{time.Second, api.Flush{Total: 100, Moved: 30}},
		{100 * time.Millisecond, api.Flush{Total: 100, Moved: 99, Failed: 1, EndedAt: &ended}},
	} {
		now = now.Add(step.wait)
		step.flush.Director = "d1"
		step.flush.ID = 1
		step.flush.Backend = httpapitest.IP("192.0.2.1")
		if err := p.update(step.flush); err != nil {
			t.Fatal(err)
		}
	}
	p.end()
	want := "192.0.2.1: 20 of at least 60 users moved\n192.0.2.1: 99 of 100 users moved, 1 failed\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
}

func TestDescribe(t *testing.T) {
	at := time.Now().Add(-10 * time.Second)
	tests := []struct {
		flush api.Flush
		want  string
	}{
		{api.Flush{Total: 20, Moved: 10, StartedAt: at},
			"all: 10 of 20 users moved, about 10s left"},
		{api.Flush{Total: 20, Moved: 10, EndedAt: &at, Cancelled: true},
			"all: 10 of 20 users moved, cancelled"},
		{api.Flush{Director: "d2", Runner: "d2", Total: 20, Moved: 10, Lost: true},
			"all: 10 of 20 users moved, director d2 failed"},
	}
	for _, tt := range tests {
		if got := describe(tt.flush); got != tt.want {
			t.Errorf("describe(%+v) = %q, want %q", tt.flush, got, tt.want)
		}
	}
}

// On a terminal there is a bar; with the end of the flush its line ends.
func TestBar(t *testing.T) {
	var out bytes.Buffer
	p := (&invocation{IO: IO{Stderr: &out}}).newProgress(false)
	p.terminal = true
	for moved := range uint64(3) {
		f := api.Flush{Director: "d1", ID: 1, Total: 2, Moved: moved}
		if moved == 2 {
			now := time.Now()
			f.EndedAt = &now
		}
		if err := p.update(f); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Contains(out.Bytes(), []byte("100%")) ||
		!bytes.Contains(out.Bytes(), []byte("(2/2")) ||
		!bytes.HasSuffix(out.Bytes(), []byte("\n")) {
		t.Errorf("bar: %q", out.String())
	}
}

// A flush that has found no users yet, or never finds any, is no reason to fail on a terminal;
// neither are more users moved than there were, as after a director took a flush over.
func TestBarWithoutUsers(t *testing.T) {
	now := time.Now()
	for name, tt := range map[string]struct {
		reports []api.Flush
		want    string
	}{
		"none yet": {[]api.Flush{
			{Scanning: true}, {Total: 2, Moved: 1}, {Total: 2, Moved: 2, EndedAt: &now},
		}, "(2/2"},
		"none at all": {
			[]api.Flush{{Scanning: true}, {EndedAt: &now}}, "all: 0 of 0 users moved\n",
		},
		"more than all": {
			[]api.Flush{{Total: 1, Moved: 2}, {Total: 1, Moved: 2, EndedAt: &now}}, "(2/2",
		},
	} {
		var out bytes.Buffer
		p := (&invocation{IO: IO{Stderr: &out}}).newProgress(false)
		p.terminal = true
		for _, f := range tt.reports {
			f.Director, f.ID = "d1", 1
			if err := p.update(f); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if !strings.Contains(out.String(), tt.want) || !strings.HasSuffix(out.String(), "\n") {
			t.Errorf("%s: %q, want %q in it and a line end", name, out.String(), tt.want)
		}
	}
}

// JSON tells of a flush however the command ends: finished, cancelled, watched or interrupted.
func TestFlushJSON(t *testing.T) {
	ended := time.Now()
	running := api.Flush{
		Director: "d2", ID: 4, Backend: httpapitest.IP("192.0.2.1"), Total: 10, Moved: 3,
	}
	cancelled := running
	cancelled.Cancelled, cancelled.EndedAt = true, &ended
	for _, tt := range []struct {
		command string
		looks   []api.Flush // what the director says when it is asked, the last one from then on
		status  int
		want    string
	}{
		{"flush 192.0.2.1", []api.Flush{running, cancelled}, exitTemporary, `"cancelled": true`},
		{"flush --watch", []api.Flush{running, running, cancelled},
			exitTemporary, `"cancelled": true`},
		{"flush --cancel", []api.Flush{running, cancelled}, 0, `"cancelled": true`},
		{"flush --cancel 192.0.2.1", []api.Flush{running, cancelled}, 0, `"id": 4`},
		{"flush --cancel 192.0.2.2", []api.Flush{running, cancelled}, 0, `"flushes": []`},
		{"flush -F all", []api.Flush{running}, 0, `"failed_directors": []`},
	} {
		d := httpapitest.Sample()
		looks := 0
		d.FlushesIs = func() api.Flushes {
			f := tt.looks[min(looks, len(tt.looks)-1)]
			looks++
			return api.Flushes{Flushes: []api.Flush{f}}
		}
		d.OutcomeIs = func(api.Operation) (api.Outcome, error) {
			return api.Outcome{Count: 1, Flush: &api.FlushID{Director: "d2", ID: 4}}, nil
		}
		args := append(strings.Fields(tt.command), "--json", "-a",
			httpapitest.Serve(t, d, zerolog.Nop()))
		r := runCommand(t, "", args...)
		if r.status != tt.status || !strings.Contains(r.stdout, tt.want) {
			t.Errorf("%s: %+v, want status %d and %s", tt.command, r, tt.status, tt.want)
		}
	}
}

// How a flush ends decides the exit status of the command that watches it.
func TestFlushVerdicts(t *testing.T) {
	ended := time.Now()
	tests := []struct {
		flush  api.Flush
		status int
		stderr string
	}{
		{api.Flush{Total: 2, Moved: 2, EndedAt: &ended}, 0, "192.0.2.1: 2 of 2 users moved\n"},
		{api.Flush{Total: 2, Moved: 2, UsersLeft: 1, NoKicker: true, EndedAt: &ended},
			0, "192.0.2.1: 2 of 2 users moved\n" +
				"Warning: 192.0.2.1: sessions of 1 users could not be ended; " +
				"they go on where they are\n" +
				"Warning: 192.0.2.1: open sessions stay where they are: " +
				"some directors cannot end any; " +
				"set kick-ipc, kick-anvil or kick-command there\n"},
		{api.Flush{Total: 2, Moved: 1, Failed: 1, EndedAt: &ended}, exitTemporary,
			"192.0.2.1: 1 of 2 users moved, 1 failed\n" +
				"Error: 192.0.2.1: 1 of 2 users could not be moved; run the flush again\n"},
		{api.Flush{Total: 2, Moved: 1, Cancelled: true, EndedAt: &ended}, exitTemporary,
			"192.0.2.1: 1 of 2 users moved, cancelled\n" +
				"Error: 192.0.2.1: the flush was cancelled after 1 of 2 users\n"},
		{api.Flush{Runner: "d1", Total: 2, Moved: 1, Lost: true}, exitTemporary,
			"192.0.2.1: 1 of 2 users moved, director d1 failed\n" +
				"Error: 192.0.2.1: director d1 failed while it flushed, and no other one " +
				"goes on; run the flush again\n"},
	}
	for _, tt := range tests {
		d := httpapitest.Sample()
		tt.flush.Director, tt.flush.ID, tt.flush.Backend = "d1", 4, httpapitest.IP("192.0.2.1")
		d.FlushesIs = func() api.Flushes { return api.Flushes{Flushes: []api.Flush{tt.flush}} }
		d.OutcomeIs = func(api.Operation) (api.Outcome, error) {
			return api.Outcome{Flush: &api.FlushID{Director: "d1", ID: 4}}, nil
		}
		r := runCommand(t, "", "flush", "192.0.2.1", "-a", httpapitest.Serve(t, d, zerolog.Nop()))
		if r.status != tt.status || r.stdout != "" {
			t.Errorf("%+v: %+v, want status %d", tt.flush, r, tt.status)
		}
		if diff := cmp.Diff(tt.stderr, r.stderr); diff != "" {
			t.Errorf("stderr (-want +got):\n%s", diff)
		}
	}
}

// Interrupting the command leaves the flush running, and says so.
func TestFlushInterrupted(t *testing.T) {
	d := httpapitest.Sample()
	ctx, cancel := context.WithCancel(t.Context())
	var once sync.Once
	d.FlushesIs = func() api.Flushes {
		once.Do(func() { time.AfterFunc(50*time.Millisecond, cancel) })
		return api.Flushes{Flushes: []api.Flush{{Director: "d1", ID: 4, Total: 10}}}
	}
	d.OutcomeIs = func(api.Operation) (api.Outcome, error) {
		return api.Outcome{Flush: &api.FlushID{Director: "d1", ID: 4}}, nil
	}
	var stdout, stderr bytes.Buffer
	status := Main(
		ctx, []string{"director", "flush", "all", "-a", httpapitest.Serve(t, d, zerolog.Nop())}, IO{
			Stdout: &stdout, Stderr: &stderr,
			LookupEnv: func(string) (string, bool) { return "", false }, Resolve: testResolve,
		})
	want := "The flush goes on; \"director flush --watch\" shows it, \"director flush --cancel\" " +
		"stops it.\nError: interrupted\n"
	if diff := cmp.Diff(want, stderr.String()); diff != "" || status != exitInterrupted {
		t.Errorf("exit status %d, stderr (-want +got):\n%s", status, diff)
	}
	for _, op := range d.Done() {
		if _, ok := op.(api.CancelFlush); ok {
			t.Error("the flush was cancelled")
		}
	}
}

// Cancelling and watching are asked of the director, for one backend or all.
func TestFlushCancelAndWatch(t *testing.T) {
	d := httpapitest.Sample()
	ended := time.Now()
	looks := 0
	d.FlushesIs = func() api.Flushes {
		f := api.Flush{
			Director: "d2", ID: 4, Backend: httpapitest.IP("192.0.2.1"), Total: 10, Moved: 10,
		}
		if looks++; looks > 2 {
			f.EndedAt = &ended
		}
		return api.Flushes{Flushes: []api.Flush{f}}
	}
	d.OutcomeIs = func(api.Operation) (api.Outcome, error) { return api.Outcome{Count: 1}, nil }
	socket := httpapitest.Serve(t, d, zerolog.Nop())
	r := runCommand(t, "", "flush", "--watch", "-a", socket)
	if r.status != 0 || r.stderr != "192.0.2.1: 10 of 10 users moved\n" {
		t.Errorf("watch: %+v", r)
	}
	r = runCommand(t, "", "flush", "--cancel", "-v", "192.0.2.1", "-a", socket)
	if r.status != 0 ||
		r.stderr != "Info: 1 flushes cancelled; users already being moved will still arrive\n" {
		t.Errorf("cancel: %+v", r)
	}
	done := d.Done()
	if len(done) != 1 || done[0] != (api.CancelFlush{Backend: httpapitest.IP("192.0.2.1")}) {
		t.Errorf("operations %+v", done)
	}
}
