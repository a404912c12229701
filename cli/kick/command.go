package kick

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"directormesh/cli/program"
	"directormesh/ring"
)

const (
	commandTimeout = 10 * time.Second
	// waitDelay is how long output may stay open after the command has been killed.
	waitDelay = time.Second
	// maxOutput is how much of the command's output is kept.
	maxOutput = 4 << 10
)

// Command is a kicker that runs a program of the operator's; see the package comment for its
// arguments.
type Command struct {
	argv    []string
	env     []string // all that it gets
	timeout time.Duration
	turns   Turns
}

// NewCommand returns a kicker that runs a program, as many at a time as there are turns. The first
// word of line is the program; a name without a slash is looked up in PATH.
func NewCommand(line string, turns Turns) (*Command, error) {
	argv := strings.Fields(line)
	if len(argv) == 0 {
		return nil, errors.New("command is empty; name a program")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		err = errors.Unwrap(err)
		var at *fs.PathError // which says again at which path
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, fmt.Errorf("%q cannot be run: %w; give a program that this user may run",
			argv[0], err)
	}
	argv[0] = path
	return &Command{
		argv: argv, env: program.Environment(os.LookupEnv), timeout: commandTimeout,
		turns: turns,
	}, nil
}

// Kick implements Kicker. It waits for its turn as long as ctx lasts; the ten seconds begin after
// that.
func (c *Command) Kick(ctx context.Context, t Target) (Result, error) {
	free, err := c.turns.take(ctx, t)
	if err != nil {
		return Result{}, fmt.Errorf("kick command %s: %w", c.argv[0], err)
	}
	defer free()
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout,
		errors.New("it took too long and was killed"))
	defer cancel()

	cmd := exec.CommandContext(ctx, c.argv[0],
		append(c.argv[1:len(c.argv):len(c.argv)], args(t)...)...)
	cmd.Env = c.env
	// The command leads a process group of its own, so that its children die with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = waitDelay
	stdout, stderr := &head{}, &head{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if text := strings.TrimSpace(stderr.String()); text != "" {
			return Result{}, fmt.Errorf("kick command %s: %w: %q", c.argv[0], err, text)
		}
		return Result{}, fmt.Errorf("kick command %s: %w", c.argv[0], err)
	}
	return parseCount(stdout.String()), nil
}

// args are the arguments for a target.
func args(t Target) []string {
	switch {
	case t.ByHash:
		return []string{
			string(t.Tag), strconv.FormatUint(uint64(t.Hash), 10), ring.AddrText(t.Keep),
		}
	case t.Backend.IsValid():
		return []string{"--backend", string(t.Tag), ring.AddrText(t.Backend)}
	case t.Field != "":
		return []string{"--field", t.Field, t.Value}
	}
	return []string{"--user", t.Value}
}

// parseCount reads a command's output.
func parseCount(output string) Result {
	n, err := strconv.ParseUint(strings.TrimSpace(output), 10, 31)
	if err != nil {
		return Result{}
	}
	return Result{Count: int(n), Known: true}
}

// head keeps the beginning of what is written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(b []byte) (int, error) {
	h.Buffer.Write(b[:min(len(b), maxOutput-h.Len())])
	return len(b), nil
}
