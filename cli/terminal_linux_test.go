package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
)

// openTerminal returns a terminal of so many columns, and a function that closes it and returns all
// that was written there.
func openTerminal(t *testing.T, columns uint16) (terminal *os.File, written func() string) {
	t.Helper()
	// Not as os.OpenFile does it, whose file would give up its descriptor's own waiting.
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	screen := os.NewFile(uintptr(fd), "screen")
	t.Cleanup(func() { screen.Close() })
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/dev/pts/%d", number)
	terminal, err = os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	t.Cleanup(func() { terminal.Close() })
	size := &unix.Winsize{Row: 24, Col: columns}
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, size); err != nil {
		t.Fatal(err)
	}
	all := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(screen) // ends with an error when nobody has the terminal open
		all <- string(text)
	}()
	return terminal, func() string {
		terminal.Close()
		return <-all
	}
}

// On a terminal of 80 columns no line that a command prints is broken by the terminal: tables that
// are wider are folded, and a bar is drawn in its line. What is beside a table, such as a warning,
// is a sentence and may be.
func TestEightyColumns(t *testing.T) {
	d := httpapitest.Sample()
	for i := range d.DirectorsIs.Directors {
		d.DirectorsIs.Directors[i].Name += ".a-long-name.example.org"
	}
	ended, asked := time.Now(), 0
	d.OutcomeIs = func(op api.Operation) (api.Outcome, error) {
		if _, flush := op.(*api.FlushUsers); flush {
			return api.Outcome{Flush: &api.FlushID{Director: "d1", ID: 1}}, nil
		}
		return api.Outcome{Users: 3}, nil
	}
	d.FlushesIs = func() api.Flushes {
		asked++
		f := api.Flush{Director: "d1", ID: 1, StartedAt: ended, Scanning: asked == 1}
		if asked > 1 {
			f.Total, f.Moved = 1_000_000, uint64(asked)*200_000
		}
		if asked > 4 {
			f.EndedAt = &ended
		}
		return api.Flushes{Flushes: []api.Flush{f}}
	}
	socket := httpapitest.Serve(t, d, zerolog.Nop())
	for command, shows := range map[string]string{
		"status": "mail server ip", "status alice": "Current: ", "map": "expire time",
		"map 192.0.2.51": "expire time", "map -u alice": "", "ring status": "skew ms",
		"lookup alice": "192.0.2.1", "dump": "director add ", "version": "director ",
		"down 192.0.2.1": "still mapped", "flush all": "100%", "help": "COMMAND --help",
	} {
		terminal, written := openTerminal(t, 80)
		args := strings.Fields(command)
		if command != "version" && command != "help" {
			args = append(args, "-a", socket)
		}
		status := Main(t.Context(), append([]string{"director"}, args...), IO{
			Stdin: strings.NewReader(""), Stdout: terminal, Stderr: terminal,
			LookupEnv: func(string) (string, bool) { return "", false },
			Location:  time.UTC, Resolve: testResolve, Version: "1.2.3",
		})
		said := strings.ReplaceAll(written(), socket, "SOCKET")
		if status != 0 || !strings.Contains(said, shows) {
			t.Errorf("%s: status %d: %s", command, status, said)
		}
		for _, line := range strings.FieldsFunc(said, func(r rune) bool {
			return r == '\r' || r == '\n'
		}) {
			if n := utf8.RuneCountInString(line); n > 80 {
				t.Errorf("%s: a line of %d characters: %q", command, n, line)
			}
		}
	}
}
