package replica

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/wire"
	"directormesh/ring"
)

// transcript writes down all that directors do: each effect with all that it says, and after each
// part of the play what has changed in what they count and show. A story explains; a transcript
// leaves nothing out, so that no change of the core passes unnoticed. See testdata/transcript.
type transcript struct {
	w     *world
	out   strings.Builder
	shown map[string]string // what was shown last, by what it is
	mute  bool
	logs  map[string]int // lines of logs in this part: how many of each
	beats map[string]int // since the last part, by sender
	print printer
}

// play is one transcript: what is done in it, and to what directors.
type play struct {
	name string
	act  func(t *transcript)
}

func (w *world) transcribed() *transcript {
	t := &transcript{w: w, shown: make(map[string]string), beats: make(map[string]int),
		logs: make(map[string]int)}
	w.seen = t.effect
	return t
}

// TestTranscripts plays each and compares. With -update it writes what happens into the file.
func TestTranscripts(t *testing.T) {
	for _, p := range plays() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata/transcript", p.name+".txt")
			compareTranscript(t, path, transcribe(t, p.name, Guards{}))
		})
	}
}

// transcribe returns the transcript of a play.
func transcribe(t *testing.T, name string, guards Guards) string {
	t.Helper()
	all := plays()
	i := slices.IndexFunc(all, func(p play) bool { return p.name == name })
	w := newWorld(t)
	w.guards = guards
	script := w.transcribed()
	all[i].act(script)
	script.part("the end")
	return script.out.String()
}

// compareTranscript compares with what a file says, or with -update writes the file.
func compareTranscript(t *testing.T, path, got string) {
	t.Helper()
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-file +now; -update writes it anew):\n%s", path, diff)
	}
}

// part ends a part of the play: it shows what has changed, and gives the next part its heading.
func (t *transcript) part(heading string) {
	for _, d := range t.w.directors {
		t.look(d)
	}
	for _, line := range slices.Sorted(maps.Keys(t.logs)) {
		if n := t.logs[line]; n > 1 {
			t.line("%d times %s", n, line)
		}
	}
	clear(t.logs)
	fmt.Fprintf(&t.out, "\n== %s\n", heading)
}

// look shows what has changed in what a director counts, and in what it shows of the mesh.
func (t *transcript) look(d *director) {
	if n := t.beats[d.name]; n > 0 {
		t.line("%s sent %d beats", d.name, n)
		t.beats[d.name] = 0
	}
	if d.stopped {
		return
	}
	c, now := d.core, t.w.now
	t.show(d.name+" counts", t.print.text(c.Counters()))
	self := c.Self(now)
	self.Mesh.Age = 0 // it grows
	t.show(d.name+" is", t.print.text(self))
	for _, p := range c.Peers(now) {
		p.RoundTrip, p.Skew = 0, p.Skew.Round(10*time.Millisecond)
		p.Offset = p.Offset.Round(10 * time.Millisecond)
		t.show(fmt.Sprintf("%s sees %s at %s", d.name, p.Name, p.Addr), t.print.text(p))
	}
	for _, b := range c.Backends() {
		t.show(fmt.Sprintf("%s has backend %s", d.name, b.Backend.Addr), t.print.text(b))
	}
	for _, f := range c.Flushes() {
		t.show(fmt.Sprintf("%s sees flush %v", d.name, f.ID), t.print.text(f))
	}
	t.show(d.name+" would dial", t.print.text(c.Dials()))
	t.show(d.name+" wants", t.print.text(c.WantedPeers()))
}

// show writes something down if it is not what it was.
func (t *transcript) show(what, text string) {
	if t.shown[what] != text {
		t.shown[what] = text
		t.line("%s: %s", what, text)
	}
}

// where shows on which backends directors have users.
func (t *transcript) where(users ...ring.UserHash) {
	for _, d := range t.w.directors {
		for _, h := range users {
			if d.stopped {
				continue
			}
			what := fmt.Sprintf("%s has user %v", d.name, h)
			t.show(what, t.print.text(d.core.User(t.w.now, "", h)))
		}
	}
}

// line writes one line, broken where it is too long, with the seconds since the beginning.
func (t *transcript) line(format string, args ...any) {
	if t.mute {
		return
	}
	line := fmt.Sprintf("%7.3f", t.w.now.Sub(worldStart).Seconds())
	for word := range strings.SplitSeq(fmt.Sprintf(format, args...), " ") {
		if len(line)+1+len(word) > 99 {
			t.out.WriteString(line + "\n")
			line = strings.Repeat(" ", 9)
		}
		line += " " + word
	}
	t.out.WriteString(line + "\n")
}

// effect writes down what a director wants done.
func (t *transcript) effect(d *director, e Effect) {
	if d.stopped || t.mute {
		return
	}
	switch e := e.(type) {
	case Send:
		if beat, ok := e.Message.(*wire.Beat); ok {
			t.beat(d, e.To, *beat)
			return
		}
		t.line("%s → %s: %s", d.name, strings.Join(e.To, " "), t.print.text(e.Message))
	case Log:
		var fields []string
		for _, f := range e.Fields {
			fields = append(fields, fmt.Sprintf("%s %s", f.Key, t.print.text(f.Value)))
		}
		line := fmt.Sprintf("%s logs %d: %s; %s", d.name, e.Level, e.Text,
			strings.Join(fields, ", "))
		if t.logs[line]++; t.logs[line] == 1 {
			t.line("%s", line)
		}
	default:
		t.line("%s: %s %s", d.name, reflect.TypeOf(e).Name(), t.print.text(e))
	}
}

// beat counts a beat, and writes it down if it says something new.
func (t *transcript) beat(d *director, to []string, m wire.Beat) {
	t.beats[d.name]++
	m.SentAt, m.MeshTime, m.Wall, m.EchoDelay, m.Mesh.Age, m.Seq, m.Users = 0, 0, 0, 0, 0, 0, 0
	m.Echo = min(m.Echo, 1) // there is one
	t.show(fmt.Sprintf("%s beats to %s", d.name, strings.Join(to, " ")), t.print.text(&m))
}

// does carries out an operation and lets it begin.
func (t *transcript) does(d *director, op Operation) {
	t.line("%s is told: %s%s", d.name, reflect.TypeOf(op).Name(), t.print.text(op))
	d.begin(op)
	t.w.deliver()
}

// asks looks users up.
func (t *transcript) asks(d *director, users ...ring.UserHash) {
	for _, h := range users {
		backend, id := d.ask(h)
		t.line("%s is asked for %v: %s, waits as %d", d.name, h, t.print.text(backend), id)
	}
	t.w.deliver()
}

// hears lets a director take a message as if a peer had sent it.
func (t *transcript) hears(d, from *director, m wire.Message) {
	t.line("%s hears of %s: %s", d.name, from.name, t.print.text(m))
	d.hears(from, m)
	t.w.deliver()
}

// mesh starts directors, without a word: how they join is another play.
func (t *transcript) mesh(names []string, change ...func(*Config)) (all []*director) {
	t.quietly(func() {
		for _, name := range names {
			all = append(all, t.w.start(name, change...))
		}
		t.settled(5 * time.Second)
		for _, d := range all {
			t.look(d)
		}
	})
	return all
}

// quietly does something without a word of it.
func (t *transcript) quietly(do func()) {
	t.mute = true
	do()
	t.mute = false
}

// settled lets time pass until all are synced, or not for so long.
func (t *transcript) settled(most time.Duration) {
	end := t.w.now.Add(most)
	for t.w.now < end && !t.w.allSynced() {
		t.w.run(25 * time.Millisecond)
	}
}

// users are n of them.
func users(n int) (all []ring.UserHash) {
	for i := range n {
		all = append(all, ring.UserHash(i+1)*70_000_003)
	}
	return all
}

// fill logs users in without a word.
func (t *transcript) fill(d *director, n int) {
	for _, h := range users(n) {
		d.must(h)
	}
}

// of names a director that a play has started.
func (t *transcript) of(name string) *director { return t.w.named(name) }

// all are the directors of these names.
func (t *transcript) all(names ...string) (all []*director) {
	for _, name := range names {
		all = append(all, t.of(name))
	}
	return slices.Clip(all)
}
