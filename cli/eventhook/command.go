package eventhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/program"
)

const (
	commandTime = 10 * time.Second
	// outputTime is how long output may stay open after the command has been killed.
	outputTime = time.Second
	// maxSaid is how much of what a command says is kept for the log.
	maxSaid = 1 << 10
)

// Command is a program that is told of events.
type Command struct {
	argv []string
	env  []string // all that it gets
	time time.Duration
}

// ParseCommand reads a command. The first word is the program; a name without a slash is looked up
// in PATH.
func ParseCommand(line string) (*Command, error) {
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
		argv: argv, env: program.Environment(os.LookupEnv), time: commandTime,
	}, nil
}

func (c *Command) String() string { return c.argv[0] }

func (c *Command) tell(ctx context.Context, e api.Event, body []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.time, errTooLong)
	defer cancel()
	args := append(c.argv[1:len(c.argv):len(c.argv)], e.Kind, e.What)
	cmd := exec.CommandContext(ctx, c.argv[0], args...)
	cmd.Env = c.env
	// It leads a process group of its own, so that its children die with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = outputTime
	cmd.Stdin = bytes.NewReader(body)
	said := &head{}
	cmd.Stdout, cmd.Stderr = said, said
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if text := strings.TrimSpace(said.String()); text != "" {
		return fmt.Errorf("%w: %q", err, text)
	}
	return err
}

// head keeps the beginning of what is written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(b []byte) (int, error) {
	h.Buffer.Write(b[:min(len(b), maxSaid-h.Len())])
	return len(b), nil
}
