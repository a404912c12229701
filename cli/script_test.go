package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"directormesh/cli/api"
	"directormesh/cli/daemon"
	"directormesh/cli/logtest"
)

// TestScripts runs testdata/script/*.txtar. Besides testscript's own commands they have:
//
//	mesh N [-SETTING=VALUE …]   start N directors that join each other, wait until all are synced;
//	                            $D1, $D2 … are their sockets, $IP… and $PORT… their addresses,
//	                            DIRECTOR_ADDR is the first one's socket; NAME in a VALUE is the
//	                            director's
//	stop N                      end director N in good order
//	crash N                     end director N without a word to the others
//	start N                     start it again
//	[!] director ARGS           run a command; ! if any failure is expected
//	exits STATUS director ARGS  run a command that must exit with this status
//	serves STATUS ARGS          run "director serve" with ARGS, which must end with this status
//	input FILE                  stdin of the next command
//	until REGEXP director ARGS  repeat a command until it succeeds and its stdout matches
//	begin director ARGS         run a command in the background
//	finish STATUS               wait for it; its output is there for stdout and stderr
//
// After a failure, stderr must be one line that begins with "Error: ".
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TZ", "UTC")
			env.Values[scriptKey{}] = &script{env: env}
			env.Defer(func() { env.Values[scriptKey{}].(*script).stopAll() })
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"mesh":     withScript((*script).mesh),
			"stop":     withScript((*script).stop),
			"crash":    withScript((*script).crash),
			"start":    withScript((*script).start),
			"director": withScript((*script).director),
			"exits":    withScript((*script).exits),
			"serves":   withScript((*script).serves),
			"input":    withScript((*script).input),
			"until":    withScript((*script).until),
			"begin":    withScript((*script).begin),
			"finish":   withScript((*script).finish),
		},
	})
}

type scriptKey struct{}

func withScript(
	f func(*script, *testscript.TestScript, bool, []string),
) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		f(ts.Value(scriptKey{}).(*script), ts, neg, args)
	}
}

// script is what belongs to one script.
type script struct {
	env        *testscript.Env
	stdin      string
	directors  []*scriptDirector
	background chan result // of the command that was begun
}

// scriptDirector is a director that a script has started.
type scriptDirector struct {
	settings map[string]string
	daemon   *daemon.Daemon
	cancel   context.CancelFunc
	ended    chan error
	dir      string
}

func (s *script) mesh(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	for i := range n {
		// Not in the script's directory: a socket's path must be short.
		dir, err := os.MkdirTemp("", "d")
		ts.Check(err)
		name := fmt.Sprintf("d%d", i+1)
		settings := map[string]string{
			"node-name": name, "mesh-name": "test", "bind": "127.0.0.1:0",
			"run-dir": filepath.Join(dir, "run"), "user-kick-delay": "100ms",
			"mail-servers": "192.0.2.1-192.0.2.4 192.0.2.51@ssd", "log-level": "error",
			"kick-command": "/bin/true", // as if there were Dovecots whose sessions it ends
		}
		if i > 0 {
			settings["join"] = s.directors[0].daemon.MeshAddr().String()
		}
		for _, arg := range args[1:] {
			setting, value, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
			settings[setting] = strings.ReplaceAll(value, "NAME", name)
		}
		d := &scriptDirector{settings: settings, dir: dir}
		s.directors = append(s.directors, d)
		d.run(ts)
		addr := d.daemon.MeshAddr()
		settings["bind"] = addr.String() // where it will be found if it is started again
		number := strconv.Itoa(i + 1)
		ts.Setenv("D"+number, d.socket())
		ts.Setenv("IP"+number, addr.Addr().String())
		ts.Setenv("PORT"+number, strconv.Itoa(int(addr.Port())))
	}
	ts.Setenv("DIRECTOR_ADDR", s.directors[0].socket())
	s.waitAll(ts)
}

func (d *scriptDirector) socket() string {
	return filepath.Join(d.settings["run-dir"], "director.sock")
}

func (d *scriptDirector) run(ts *testscript.TestScript) {
	env := daemon.SystemEnvironment()
	env.LookupEnv = func(string) (string, bool) { return "", false }
	options, err := daemon.Load(d.settings, "", env)
	ts.Check(err)
	d.daemon, err = daemon.New(daemon.Config{
		Options: options, Version: "test", LogOutput: os.Stderr,
		Reload: func() (daemon.Options, error) { return daemon.Load(d.settings, "", env) },
	})
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel, d.ended = cancel, make(chan error, 1)
	go func() { d.ended <- d.daemon.Run(ctx, nil) }()
}

// waitAll waits until all directors that run see each other synced.
func (s *script) waitAll(ts *testscript.TestScript) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	n := 0
	for _, d := range s.directors {
		if d.daemon != nil {
			n++
		}
	}
	for _, d := range s.directors {
		if d.daemon == nil {
			continue
		}
		client, err := api.NewClient(d.socket())
		ts.Check(err)
		for {
			directors, err := waitSynced(ctx, client, 0)
			ts.Check(err)
			reached := 1
			for _, other := range directors.Directors {
				if other.Reachable && other.Type == api.TypePeer {
					reached++
				}
			}
			if reached == n {
				break
			}
			<-time.After(pollInterval)
		}
		client.Close()
	}
}

func (s *script) stop(ts *testscript.TestScript, _ bool, args []string) {
	d := s.numbered(ts, args[0])
	d.cancel()
	ts.Check(<-d.ended)
	d.daemon = nil
}

func (s *script) crash(ts *testscript.TestScript, _ bool, args []string) {
	d := s.numbered(ts, args[0])
	d.daemon.Close()
	d.cancel()
	<-d.ended // it may complain
	d.daemon = nil
}

func (s *script) start(ts *testscript.TestScript, _ bool, args []string) {
	s.numbered(ts, args[0]).run(ts)
	s.waitAll(ts)
}

func (s *script) numbered(ts *testscript.TestScript, number string) *scriptDirector {
	n, err := strconv.Atoi(number)
	ts.Check(err)
	return s.directors[n-1]
}

func (s *script) stopAll() {
	var all sync.WaitGroup
	for _, d := range s.directors {
		all.Go(func() {
			if d.daemon != nil {
				d.daemon.Close()
				d.cancel()
				<-d.ended
			}
			os.RemoveAll(d.dir)
		})
	}
	all.Wait()
}

func (s *script) input(ts *testscript.TestScript, _ bool, args []string) {
	s.stdin = ts.ReadFile(args[0])
}

// run runs a command line and returns the exit status.
func (s *script) run(
	ts *testscript.TestScript, signals <-chan os.Signal, args []string,
) (int, string, string) {
	var stdout bytes.Buffer
	var stderr logtest.Buffer // a command below "director hold" writes there beside it
	stdin := strings.NewReader(s.stdin)
	s.stdin = ""
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	status := Main(ctx, append([]string{"director"}, args...), IO{
		Stdin: stdin, Stdout: &stdout, Stderr: &stderr,
		LookupEnv: func(name string) (string, bool) { v := ts.Getenv(name); return v, v != "" },
		Location:  time.UTC,
		Resolve:   testResolve,
		Version:   "test",
		Signals:   signals,
	})
	return status, stdout.String(), stderr.String()
}

// command runs a command and leaves its output for stdout, stderr and cmp.
func (s *script) command(ts *testscript.TestScript, args []string) (status int, stderr string) {
	if args[0] != "director" {
		ts.Fatalf("%q is no director command", args[0])
	}
	status, stdout, stderr := s.run(ts, nil, args[1:])
	io.WriteString(ts.Stdout(), stdout)
	io.WriteString(ts.Stderr(), stderr)
	return status, stderr
}

func (s *script) director(ts *testscript.TestScript, neg bool, args []string) {
	if status, _ := s.command(ts, append([]string{"director"}, args...)); (status == 0) == neg {
		ts.Fatalf("exit status %d", status)
	}
}

func (s *script) exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	status, stderr := s.command(ts, args[1:])
	if status != want {
		ts.Fatalf("exit status %d, want %d", status, want)
	}
	last := stderr[strings.LastIndexByte(strings.TrimSuffix(stderr, "\n"), '\n')+1:]
	if !strings.HasPrefix(last, "Error: ") {
		ts.Fatalf("stderr does not end with one line of what was wrong: %q", stderr)
	}
}

func (s *script) serves(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	signals := make(chan os.Signal, 1)
	timer := time.AfterFunc(10*time.Second, func() { signals <- syscall.SIGTERM })
	defer timer.Stop()
	status, stdout, stderr := s.run(ts, signals, append([]string{"serve"}, args[1:]...))
	io.WriteString(ts.Stdout(), stdout)
	io.WriteString(ts.Stderr(), stderr)
	if status != want {
		ts.Fatalf("exit status %d, want %d", status, want)
	}
}

func (s *script) until(ts *testscript.TestScript, _ bool, args []string) {
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	stdin, last := s.stdin, ""
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); {
		s.stdin = stdin
		status, stdout, stderr := s.run(ts, nil, args[2:])
		if status == 0 && pattern.MatchString(stdout) {
			io.WriteString(ts.Stdout(), stdout)
			io.WriteString(ts.Stderr(), stderr)
			return
		}
		last = stdout + stderr
		<-time.After(pollInterval)
	}
	ts.Fatalf("stdout never matched %s; at last it was\n%s", args[0], last)
}

func (s *script) begin(ts *testscript.TestScript, _ bool, args []string) {
	s.background = make(chan result, 1)
	done, addr := s.background, ts.Getenv("DIRECTOR_ADDR")
	go func() {
		var stdout, stderr bytes.Buffer
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		status := Main(ctx, args, IO{
			Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Location: time.UTC,
			Resolve:   testResolve,
			LookupEnv: func(name string) (string, bool) { return addr, name == "DIRECTOR_ADDR" },
		})
		done <- result{status, stdout.String(), stderr.String()}
	}()
}

func (s *script) finish(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	r := <-s.background
	io.WriteString(ts.Stdout(), r.stdout)
	io.WriteString(ts.Stderr(), r.stderr)
	if r.status != want {
		ts.Fatalf("exit status %d, want %d", r.status, want)
	}
}
