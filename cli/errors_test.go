package cli

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
)

// goWords are words of Go's libraries; messages to operators have plain words.
var goWords = regexp.MustCompile(`bufio|strconv|\bjson:|\byaml:|net/http|\bexec: |parse error|` +
	`Go struct|Go value|invalid character|unmarshal|\bsyscall|\bEOF\b|\bopen /|` +
	`\bdial (tcp|unix)|\bread (tcp|unix)|\bwrite (tcp|unix)|\blookup \S+( on |:)|time: |` +
	`token too long|context deadline|context canceled|i/o timeout|malformed|%!|\bx509|\btls:|` +
	`mkdir |listen (tcp|unix)|fork/exec|\bl?stat /|executable file|invalid argument`)

// Every command's errors: one line each, without Go's words, with what to do.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file("long", "alice\n"+strings.Repeat("x", 5000)+"\n", 0o600)
	file("utf16", "\xff\xfea\x00l\x00\n\x00", 0o600)
	file("bad.yml", "a: b: c\n", 0o600)
	file("tab.yml", "user-expire:\n\t15m\n", 0o600)
	file("list.yml", "- a\n", 0o600)
	file("typo.yml", "usr-expire: 15m\nbind:\nmail-servers: {a: b}\n", 0o600)
	file("key", "AAAA\n", 0o600)
	file("longkey", strings.Repeat("A", 100000)+"\n", 0o600)
	file("script", "#!/bin/sh\n", 0o600)
	file("file", "", 0o600)

	good := httpapitest.Sample()
	socket := httpapitest.Serve(t, good, zerolog.Nop())
	refuse := func(code api.Code, message string) string {
		d := httpapitest.Sample()
		d.OutcomeIs = func(api.Operation) (api.Outcome, error) {
			return api.Outcome{}, api.Errorf(code, "%s", message)
		}
		return httpapitest.Serve(t, d, zerolog.Nop())
	}
	addresses := map[string]string{
		"GOOD": socket, "DIR": dir,
		"MISSING":   refuse(api.CodeNotFound, "doesn't exist"),
		"TRYAGAIN":  refuse(api.CodeTryAgain, "user is already being moved"),
		"NOTSYNCED": refuse(api.CodeNotSynced, "this director is not synced yet, try again"),
		"INTERNAL":  refuse(api.CodeInternal, "odd"),
		"CLOSES":    answering(t, ""),
		"SMTP":      answering(t, "220 mail.example.org ESMTP\r\n"),
		"HTML":      answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"),
		"ERROR":     answering(t, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>"),
		"CUT":       answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{"),
	}
	var out strings.Builder
	for _, command := range []string{
		"nonsense", "--nonsense", "-a", "-a X", "-- status",
		"status --nonsense", "status -a", "status -a X", "status -a ftp://x", "status -a http://",
		"status a b c", "status --json=7",
		"status -a /no/such.sock", "status -a 127.0.0.1:1", "status -a DIR/file",
		"status -a CLOSES", "status -a SMTP", "status -a HTML", "status -a ERROR", "status -a CUT",
		"map -a HTML", "map -a CUT",
		"status -a https://127.0.0.1:1/", "status \xff -a GOOD",
		"lookup", "lookup a b c", "lookup -f DIR/none", "lookup -f DIR",
		"lookup -f DIR/long -a GOOD", "lookup -f DIR/utf16 -a GOOD",
		"lookup x -a SMTP", "lookup -f DIR/file -a SMTP", "lookup -f DIR/file x y",
		"map -h x -f DIR/file -a GOOD", "map -h 1 -a GOOD", "map -u a -h 1 -a GOOD",
		"map nohost.invalid -a GOOD", "map -f DIR/long -a GOOD",
		"map 5 -a GOOD", "map 1.2.3.4.5 -a GOOD",
		"history a b", "history -n 0", "history -n 20000", "history --since yesterday",
		"history --at 03:12", "history --since 1h --until 2h", "history -a HTML",
		"who a b", "who --host 300.0.0.1", "who --host nohost.invalid", "who -a HTML",
		"debug x", "debug -a HTML",
		"doctor x", "doctor -a HTML",
		"watch x", "watch -n -1", "watch -n 1001", "watch --kinds x", "watch -a /no/such.sock",
		"watch -a HTML", "watch -a CUT",
		"add", "add 192.0.2.1 x", "add 192.0.2.1 -1", "add 192.0.2.1 99999999999",
		"add 192.0.2.1@a -t b", "add 192.0.2.1 1 2", "add 300.0.2.1",
		"add 192.0.2.1 -a MISSING", "add 192.0.2.1 -a NOTSYNCED", "add 192.0.2.1 -a INTERNAL",
		"update 192.0.2.1", "update 192.0.2.1 5 -a MISSING", "update 192.0.2.1 x",
		"update 192.0.2.1 5 -a NOTSYNCED",
		"remove", "remove 192.0.2.1 -a MISSING", "remove two.example.org -a MISSING",
		"up nohost.invalid", "up 192.0.2.1 -a MISSING",
		"down 192.0.2.1 -a MISSING", "down 192.0.2.1 -a INTERNAL",
		"drain", "drain 192.0.2.1 -a MISSING", "drain 192.0.2.1 --over x",
		"drain 192.0.2.1 --by 2018-02-08", "drain 192.0.2.1 --by 10:00 --over 1m",
		"undrain 192.0.2.1 -a MISSING", "undrain 192.0.2.1 -a NOTSYNCED",
		"plan add 192.0.2.1 x", "plan update", "plan remove", "plan up", "plan down",
		"plan drain 192.0.2.1 --over x", "plan undrain", "plan rebalance x y",
		"plan flush all --max-parallel x",
		"rebalance x y", "rebalance ssd -a MISSING", "rebalance -a NOTSYNCED",
		"move", "move u", "move u nohost.invalid", "move u 192.0.2.1 -a MISSING",
		"move u 192.0.2.1 -a TRYAGAIN", "move u 192.0.2.1 -a NOTSYNCED",
		"pins x", "pins -a SMTP", "pin u", "pin u nohost.invalid", "pin u 192.0.2.1 -a MISSING",
		"pin --hash u 192.0.2.1", "pin u 192.0.2.1 -a NOTSYNCED", "unpin", "unpin u -a MISSING",
		"unpin --hash u", "unpin u -a NOTSYNCED",
		"kick", "kick u -a NOTSYNCED", "kick u -a INTERNAL",
		"flush", "flush -F --watch", "flush all --max-parallel x", "flush all --max-parallel 20000",
		"flush all -a NOTSYNCED",
		"flush 192.0.2.1 -a MISSING", "flush -F 192.0.2.1 -a MISSING", "flush --cancel -a MISSING",
		"import", "import --from", "import --from /no/such.sock -a GOOD",
		"import --from SMTP -a GOOD", "import --from x --follow --json",
		"import --from 127.0.0.1:1 -a GOOD", "import --from CLOSES -a GOOD",
		"ring", "ring start", "ring add", "ring add x -a MISSING", "ring add x 9090",
		"ring add 10.0.0.300",
		"ring add 127.0.0.1 0", "ring add 127.0.0.1 x", "ring remove 127.0.0.1 -a MISSING",
		"ring remove 127.0.0.1 -a NOTSYNCED", "ring status --wait --timeout x",
		"ring status --wait --timeout -1s", "ring status x",
		"health x", "health -a SMTP", "balance x", "balance -a SMTP", "balance --plan",
		"balance --reset a b", "balance --reset -a SMTP",
		"keys list x", "keys generate x", "keys", "reload x", "keys use", "keys rotate x",
		"data inspect", "data inspect a b", "data inspect DIR/none", "data inspect DIR/file",
		"dump x", "dump -a SMTP",
		"bench --rate x", "bench --rate 5 --depth 5", "bench --duration x", "bench --zipf 1",
		"bench --door x", "bench --users 0",
		"bench --names x", "bench -a /no/such.sock", "bench x",
		"completion", "completion tcsh", "man", "man x", "version x", "dev x", "dev --log-level x",
		"hold", "hold -- true", "hold --socket x -- true", "hold --socket api=x -- true",
		"hold --socket api=/a:9 -- true",
		"hold --socket notify=DIR/file -- true", "hold --socket api=DIR/s -- DIR/none",
		"hold --socket api=DIR/s -- DIR/script", "hold --socket api=DIR/s -- no-such-program",
		"serve x", "serve --check --config /no/such.yml", "serve --check --config DIR",
		"serve --check --config DIR/bad.yml",
		"serve --check --config DIR/tab.yml", "serve --check --config DIR/list.yml",
		"serve --check --config DIR/typo.yml",
		"serve --check --bind x --advertise 0.0.0.0 --join a:b:c --mail-servers 1.2.3.4- " +
			"--user-expire x --user-kick-delay 1h " +
			"--username-hash % --max-parallel-moves 0 --max-parallel-kicks x --kick-command " +
			"DIR/none --run-dir= --socket-mode 9 " +
			"--http 192.0.2.1:80 --encrypt-key-file DIR/key --log-level x --log-format x " +
			"--login-socket-mode x --flush-socket x " +
			"--admin-tcp x --sessions-interval x --master-user-separator xx",
		"serve --check --node-name a/\x1b", "serve --check --encrypt-key-file DIR/longkey",
		"serve --check --encrypt-key-file DIR/none", "serve --check --encrypt-key-file DIR/file",
		"serve --check --kick-command DIR/script",
		"serve --run-dir DIR/file", "serve --run-dir /proc/none",
		"serve --run-dir DIR/run --bind 192.0.2.77:0",
	} {
		args := strings.Fields(command)
		for i := range args {
			for name, addr := range addresses {
				args[i] = strings.ReplaceAll(args[i], name, addr)
			}
		}
		r := runCommand(t, "", args...)
		said := r.stdout + r.stderr
		for name, addr := range addresses {
			said = strings.ReplaceAll(said, addr, name)
		}
		fmt.Fprintf(&out, "$ director %s\n%s[%d]\n", api.Visible(command), said, r.status)
		if r.status == 0 || r.stdout != "" {
			t.Errorf("%s: %+v, want an error and nothing else", command, r)
		}
		for line := range strings.Lines(r.stderr) {
			prefix := "Error: "
			if wantsJSON(strings.Fields(command)) {
				prefix = `{"error":{"code":"`
			}
			if !strings.HasPrefix(line, prefix) {
				t.Errorf("%s: %q is no error", command, line)
			}
			if words := goWords.FindString(line); words != "" {
				t.Errorf("%s: %q in %q", command, words, line)
			}
		}
	}
	golden(t, "errors.txt", out.String())
	for _, c := range (&invocation{}).app().Commands {
		call := "$ director " + c.Name
		if said := out.String(); !strings.Contains(said, call+"\n") &&
			!strings.Contains(said, call+" ") {
			t.Errorf("this test never calls %s wrongly", c.Name)
		}
	}
}

// answering listens on a socket and gives everybody the same answer.
func answering(t *testing.T, answer string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "d") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); os.RemoveAll(dir) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 1<<16)
				if !strings.HasPrefix(answer, "220") {
					_, _ = c.Read(buf)
				}
				if answer == "" {
					return
				}
				_, _ = c.Write([]byte(answer))
				if !strings.HasSuffix(answer, "{") { // that one breaks off
					_, _ = io.Copy(io.Discard, c)
				}
			}()
		}
	}()
	return path
}
