package authrelay

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"pgregory.net/rapid"
)

// naive is a second reading of the rules for reply lines, made of splitting and maps instead of one
// pass.
func naive(line string) (name string, wants bool) {
	words := strings.Split(line, "\t")
	if words[0] != "OK" || len(words) < 3 {
		return "", false
	}
	all := make(map[string][]string)
	for _, word := range words[2:] {
		key, value, has := strings.Cut(naiveUnescape(word), "=")
		if !has {
			key += " alone"
		}
		all[key] = append(all[key], value)
	}
	has := func(keys ...string) bool {
		for _, key := range keys {
			if all[key] != nil {
				return true
			}
		}
		return false
	}
	switch {
	case !has("proxy", "proxy alone",
		"director_proxy_maybe", "director_proxy_maybe alone"), has("host"):
		return "", false
	case has("destuser"):
		return all["destuser"][len(all["destuser"])-1], true
	case has("user"):
		return all["user"][0], true
	}
	return "", false
}

func naiveUnescape(s string) string {
	var out strings.Builder
	for rest := s; rest != ""; {
		before, after, found := strings.Cut(rest, "\x01")
		out.WriteString(before)
		if !found || after == "" {
			break
		}
		switch after[0] {
		case '0':
			out.WriteByte(0)
		case '1':
			out.WriteByte(1)
		case 't':
			out.WriteByte('\t')
		case 'r':
			out.WriteByte('\r')
		case 'n':
			out.WriteByte('\n')
		default:
			out.WriteByte(after[0])
		}
		rest = after[1:]
	}
	return out.String()
}

// FuzzReply reads one reply line: it is either passed on as it is, or looked up under the name that
// the naive reading finds.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		"OK\t1\tuser=a\tproxy",
		"OK\t1\tuser=a\tproxy=y\tlip=192.0.2.1\tlport=143\toriginal_user=A\tpass=x",
		"OK\t5\tuser=a\tdestuser=pl\x01tain\tproxy\tdirector_tag=x", "OK\t1\tuser=a\tproxy\thost=",
		"OK\t14\tuser=a\tdirector_proxy_maybe\tlip=::1\tport=0",
		"FAIL\t5\tuser=x\tcode=temp_fail", "CONT\t2\tVXNl", "OK", "OK\t", "\t\t\t", "\x01",
		"OK\t1\tuser=\x01\tproxy\x01=", "VERSION\t1\t2",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.ContainsAny(line, "\n") {
			return
		}
		body, ending := cutEnding(line)
		if len(ending) > 0 {
			t.Fatalf("%q has an ending", line)
		}
		verb, rest := cutField(body)
		_, fields := cutField(rest)
		var r reply
		wants := r.read(fields)
		wants = wants && Login.completes(verb)
		name, expected := naive(string(line))
		if wants != expected || wants && string(r.name) != name {
			t.Fatalf("%q: %q, %v; want %q, %v", line, r.name, wants, name, expected)
		}
		c := newCompleter(Config{Director: &fakeDirector{}, ProxyRefresh: time.Minute})
		out, _ := c.append(nil, body, []byte("\n"), &r, assignment{backend: backend1})
		if !bytes.HasPrefix(out, body) || bytes.Count(out, []byte("\n")) != 1 ||
			out[len(out)-1] != '\n' {
			t.Fatalf("%q became %q", line, out)
		}
	})
}

// FuzzClient feeds a relay with whatever a client may send. Nothing is lost or changed as long as
// no line and no id is too long. Each request that was written has its failure when the link ends.
func FuzzClient(f *testing.F) {
	f.Add([]byte("VERSION\t1\t2\nCPID\t7\nAUTH\t1\tPLAIN\tresp=x\nCANCEL\t1\n"), byte(Login))
	f.Add([]byte("VERSION\t1\t0\r\nPASS\t1\tx\r\nLIST\t2\n\n"), byte(Userdb))
	f.Add([]byte("AUTH\nAUTH\t\nAUTH\t1\nAUTH\t1\n"), byte(Login))
	f.Add([]byte("AUTH\t"+strings.Repeat("1", maxID+1)+"\nAUTH\t2\tPL"), byte(Login))
	f.Fuzz(func(t *testing.T, input []byte, p byte) {
		protocol := Protocol(p % 2)
		server, err := New(Config{
			Protocol: protocol, Auth: "unused", Director: &fakeDirector{}, Log: zerolog.Nop(),
		})
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		defer theirs.Close()
		failures := make(chan int)
		go func() {
			out, _ := io.ReadAll(theirs)
			failures <- bytes.Count(out, []byte("\n"))
		}()
		l := newLink(server, server.loops.Adopt(ours))
		in := newLineReader(bytes.NewReader(input), protocol.maxBuffer())
		var passed []byte
		for err = in.fill(); err == nil; err = in.fill() {
			l.mu.Lock()
			lines, refused := l.noteRequests(in)
			ok := l.write(refused)
			l.mu.Unlock()
			if !ok {
				t.Fatal("the link is over")
			}
			passed = append(passed, lines...)
		}
		complete := input[:bytes.LastIndexByte(input, '\n')+1]
		want, due := naivePass(protocol, complete)
		if len(input) < maxLine && !bytes.Equal(passed, want) {
			t.Fatalf("%q became %q, want %q", complete, passed, want)
		}
		if n := server.requests.Load(); int(n) != len(l.open) {
			t.Fatalf("%d requests are counted, %d are open", n, len(l.open))
		}
		if part := input[len(complete):]; bytes.Count(part, []byte("\t")) >= 2 {
			_, more := naivePass(protocol, append(bytes.Clone(part), '\n'))
			for id, n := range more {
				if len(id) <= maxID {
					n = max(due[id], n) - due[id] // the same again is no other
				}
				due[id] += n
			}
		}
		l.notePart(in)
		l.end()
		if got, want := <-failures, sum(due); len(input) < maxLine && got != want {
			t.Fatalf("%d failures for %d requests", got, want)
		}
		if n := server.requests.Load(); n != 0 {
			t.Fatalf("%d requests stay open", n)
		}
	})
}

// naivePass is the simplest reading of what a relay passes on, and how many failures are due for
// each id if auth answers nothing.
func naivePass(protocol Protocol, lines []byte) (passed []byte, due map[string]int) {
	due = make(map[string]int)
	opens := map[Protocol][]string{Login: {"AUTH"}, Userdb: {"PASS", "USER", "LIST"}}[protocol]
	for line := range bytes.Lines(lines) {
		fields := strings.Split(
			strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), "\t")
		fields = append(fields, "", "")
		verb, id := fields[0], fields[1]
		switch {
		case slices.Contains(opens, verb) && len(id) > maxID:
			due[id]++
			continue
		case slices.Contains(opens, verb) && id != "":
			due[id] = 1
		case protocol == Login && verb == "CANCEL":
			delete(due, id)
		}
		passed = append(passed, line...)
	}
	return passed, due
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// chunks is a reader that gives its input in pieces of these sizes.
type chunks struct {
	input []byte
	sizes []int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.input) == 0 {
		return 0, io.EOF
	}
	size := len(c.input)
	if len(c.sizes) > 0 {
		size, c.sizes = c.sizes[0], c.sizes[1:]
	}
	n := copy(p[:min(size, len(p))], c.input)
	c.input = c.input[n:]
	return n, nil
}

// However input is cut into pieces, the same lines come out.
func TestLinesLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []string
		var input []byte
		length := rapid.OneOf(rapid.IntRange(0, 40), rapid.IntRange(0, maxLine-1))
		for _, length := range rapid.SliceOf(length).Draw(t, "lengths") {
			line := strings.Repeat("x", length) + "\n"
			want = append(want, line)
			input = append(input, line...)
		}
		sizes := rapid.SliceOf(rapid.IntRange(1, 5000)).Draw(t, "sizes")
		in := newLineReader(&chunks{input, sizes},
			rapid.SampledFrom([]int{Login.maxBuffer(), Authreply.maxBuffer()}).Draw(t, "max"))
		var got []string
		for {
			err := in.fill()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for line := in.next(); line != nil; line = in.next() {
				got = append(got, string(line))
			}
		}
		if strings.Join(got, "") != string(input) || len(got) != len(want) {
			t.Fatalf("%d lines, want %d", len(got), len(want))
		}
	})
}
