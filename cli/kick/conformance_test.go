package kick_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"directormesh/cli/dovecot"
	"directormesh/cli/dovecot/tabbed"
	"directormesh/cli/kick"
	"directormesh/cli/kick/kicktest"
	"directormesh/cli/session"
	"directormesh/ring"
)

// commandSocket names the socket to which this program, run as a kick command, passes its
// arguments.
const commandSocket = "KICK_TEST_SOCKET"

func TestMain(m *testing.M) {
	path := os.Getenv(commandSocket)
	if path != "" && len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		c, err := net.Dial("unix", path)
		if err == nil {
			fmt.Fprintln(c, strings.Join(os.Args[1:], "\t"))
			_, err = io.Copy(os.Stdout, c)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve answers each line of each connection to a socket with what handle writes; done ends the
// connection.
func serve(
	t *testing.T, path string, hang bool, handle func(line string, out io.Writer) (done bool),
) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					if !hang && handle(lines.Text(), c) {
						return
					}
				}
			}()
		}
	}()
}

func fields(line string) []string {
	return tabbed.Fields(line)
}

func hasField(s kicktest.Session, name, value string) bool {
	return value != "" && s.Connection().Field(name) == value
}

func TestIPC(t *testing.T) {
	kicktest.Run(t, func(t *testing.T, w *kicktest.World, hang bool) kick.Kicker {
		path := filepath.Join(t.TempDir(), "ipc")
		serve(t, path, hang,
			func(line string, out io.Writer) bool { ipcAnswer(w, fields(line), out); return false })
		socket := dovecot.IPC{Path: path}
		source := session.NewSource(socket.List, w.Format.Hash, time.Now)
		t.Cleanup(source.Close)
		return kick.IPC{Dovecot: kick.Dovecot{
			Sessions: source, Logins: w, Tag: w.Tag, ArriveTime: kicktest.ArriveTime,
		}, Socket: socket}
	})
}

// ipcAnswer is what Dovecot 2.3 answers. The count of kicks is not a sum there.
func ipcAnswer(w *kicktest.World, request []string, out io.Writer) {
	args := request[3:]
	end := func(which func(s kicktest.Session) bool) {
		fmt.Fprintf(out, "+%d\n", min(w.End(which), 1))
	}
	switch request[2] {
	case "LIST-FULL":
		const columns = ":username\tuser_group\t" + session.MarkField +
			"\tservice\tsrc-ip\tdest-ip\tdest-port\n"
		fmt.Fprint(out, columns)
		for _, c := range w.Connections() {
			fmt.Fprintf(out, ":%s\t%s\t%s\timap\t127.0.0.1\t%s\t143\n",
				c.User, c.Field("user_group"), c.Field(session.MarkField), c.Backend)
		}
		fmt.Fprint(out, columns+"+\n")
	case "KICK":
		end(func(s kicktest.Session) bool { return slices.Contains(args, s.User) })
	case "KICK-ALT":
		end(func(s kicktest.Session) bool { return hasField(s, args[0], args[1]) })
	case "KICK-DIRECTOR-HASH":
		end(func(s kicktest.Session) bool {
			return strconv.FormatUint(uint64(w.Format.Hash(s.User)), 10) == args[0] &&
				(len(args) == 1 || s.Backend.String() != args[1])
		})
	case "KICK-HOST":
		// One backend is configured by its name.
		end(func(s kicktest.Session) bool {
			return s.Backend.String() == args[0] && s.User != "bob"
		})
	}
}

func TestAnvil(t *testing.T) {
	kicktest.Run(t, anvilSetup(func(*kicktest.World, int) bool { return true }))
}

// Where a login process has one connection, anvil of Dovecot 2.4.1 ends nothing and says that it
// has.
func TestAnvilOneConnectionEach(t *testing.T) {
	kicktest.Run(t, anvilSetup(func(w *kicktest.World, pid int) bool {
		n := 0
		for _, c := range w.Connections() {
			if c.PID == pid {
				n++
			}
		}
		return n > 1
	}))
}

// anvilSetup lets anvil end sessions in the login processes that it reaches.
func anvilSetup(reaches func(w *kicktest.World, pid int) bool) kicktest.Setup {
	return func(t *testing.T, w *kicktest.World, hang bool) kick.Kicker {
		base := t.TempDir()
		path := filepath.Join(base, "anvil")
		serve(t, path, hang, func(line string, out io.Writer) bool {
			anvilAnswer(w, fields(line), out, reaches)
			return false
		})
		for pid := range 50 {
			serve(t, filepath.Join(base, "srv.imap-login", strconv.Itoa(pid)),
				hang, func(line string, out io.Writer) bool {
					if request := fields(line); request[0] == "KICK-USER" {
						n := w.EndAll(func(s kicktest.Session) bool {
							return s.User == request[1] && s.PID == pid
						})
						fmt.Fprintf(out, "VERSION\tmaster-admin-server\t1\t0\n+%d\n", n)
					}
					return false
				})
		}
		socket := dovecot.Anvil{Path: path}
		source := session.NewSource(socket.List, w.Format.Hash, time.Now)
		t.Cleanup(source.Close)
		return kick.Anvil{
			Dovecot: kick.Dovecot{
				Sessions: source, Logins: w, Tag: w.Tag, ArriveTime: kicktest.ArriveTime,
			},
			Socket: socket,
			Admin:  dovecot.Admin{BaseDir: base},
		}
	}
}

// A session of a login process that has ended since the list was made is no reason to end those
// that are to be kept.
func TestAnvilEndedProcess(t *testing.T) {
	format, err := ring.ParseHashFormat("%Lu")
	if err != nil {
		t.Fatal(err)
	}
	w := kicktest.NewWorld(format,
		kicktest.Session{User: "alice", Backend: kicktest.Backend1, PID: 77},
		kicktest.Session{User: "alice", Backend: kicktest.Backend2, PID: 3})
	base := t.TempDir()
	socket := dovecot.Anvil{Path: filepath.Join(base, "anvil")}
	var lists atomic.Int32
	serve(t, socket.Path, false, func(line string, out io.Writer) bool {
		if line == "CONNECT-DUMP" {
			if lists.Add(1) == 2 {
				w.End(func(s kicktest.Session) bool { return s.PID == 77 })
			}
		}
		anvilAnswer(w, fields(line), out, func(*kicktest.World, int) bool { return true })
		return false
	})
	serve(t, filepath.Join(base, "srv.imap-login", "3"), false,
		func(string, io.Writer) bool { return false })
	source := session.NewSource(socket.List, format.Hash, time.Now)
	t.Cleanup(source.Close)
	k := kick.Anvil{
		Dovecot: kick.Dovecot{Sessions: source, Logins: w, Tag: w.Tag}, Socket: socket,
		Admin: dovecot.Admin{BaseDir: base},
	}
	got, err := k.Kick(t.Context(), kick.Target{
		ByHash: true, Hash: format.Hash("alice"), Keep: kicktest.Backend2,
	})
	if err != nil || got != (kick.Result{Count: 1, Known: true}) {
		t.Errorf("%+v, %v; want one session", got, err)
	}
	if left := w.Connections(); len(left) != 1 || left[0].PID != 3 {
		t.Errorf("sessions that are left: %+v", left)
	}
}

// anvilAnswer is what Dovecot 2.4 answers.
func anvilAnswer(
	w *kicktest.World, request []string, out io.Writer,
	reaches func(w *kicktest.World, pid int) bool,
) {
	args := request[1:]
	kicked := func(which func(s kicktest.Session) bool) {
		unreached := make(map[int]bool)
		for _, c := range w.Connections() {
			if !reaches(w, c.PID) {
				unreached[c.PID] = true
			}
		}
		count := w.End(func(s kicktest.Session) bool { return !unreached[s.PID] && which(s) })
		fmt.Fprintln(out, max(count, 1))
	}
	switch request[0] {
	case "VERSION":
		fmt.Fprint(out, "VERSION\tanvil-server\t2\t0\n")
	case "CONNECT-DUMP":
		fmt.Fprint(out, "user_group\t"+session.MarkField+"\n")
		for _, c := range w.Connections() {
			fmt.Fprintf(out, "%d\t%s\timap-login\t127.0.0.1\t00\t%s\t%s\t%s\n",
				c.PID, c.User, c.Backend, c.Field("user_group"), c.Field(session.MarkField))
		}
		fmt.Fprintln(out)
	case "KICK-USER":
		kicked(func(s kicktest.Session) bool { return s.User == args[0] })
	case "KICK-ALT-USER":
		kicked(func(s kicktest.Session) bool { return hasField(s, args[0], args[1]) })
	}
}

func TestCommand(t *testing.T) {
	kicktest.Run(t, func(t *testing.T, w *kicktest.World, hang bool) kick.Kicker {
		path := filepath.Join(t.TempDir(), "command")
		serve(t, path, hang, func(line string, out io.Writer) bool {
			fmt.Fprintln(out, runCommand(w, fields(line)))
			return true
		})
		// A kick command gets few of our variables, so it gets these. The race detector would
		// have each run take a second.
		k, err := kick.NewCommand(
			"env "+commandSocket+"="+path+" GORACE=atexit_sleep_ms=0 "+os.Args[0],
			kick.NewTurns(10))
		if err != nil {
			t.Fatal(err)
		}
		return k
	})
}

// runCommand is a good kick command: it knows all about its Dovecot, and that logins which are on
// the way are ended too.
func runCommand(w *kicktest.World, args []string) int {
	switch args[0] {
	case "--user":
		return w.EndAll(func(s kicktest.Session) bool { return s.User == args[1] })
	case "--field":
		return w.EndAll(func(s kicktest.Session) bool { return hasField(s, args[1], args[2]) })
	case "--backend":
		return w.EndAll(func(s kicktest.Session) bool { return s.Backend.String() == args[2] })
	}
	hash, _ := strconv.ParseUint(args[1], 10, 32)
	return w.EndAll(func(s kicktest.Session) bool {
		h := w.Format.Hash(s.User)
		if s.Looked != 0 {
			h = s.Looked
		}
		tag, ok := w.Tag(s.Backend)
		return h == ring.UserHash(hash) && ok && string(tag) == args[0] &&
			s.Backend.String() != args[2]
	})
}
