package flushscript

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	programs "directormesh/cli/program"
)

const (
	// maxText is how much of what a script says is kept for the log.
	maxText = 1 << 10
	// maxAnswer bounds what a script may say in all.
	maxAnswer = 1 << 20
	// waitDelay is how long output may stay open after the program has been killed.
	waitDelay = time.Second
)

const hello = "VERSION\tscript\t4\t0\n-\n"

// Run reports a flush to the script and waits for its answer, as long as ctx lasts. An error tells
// why the script did not succeed, and what it said.
func (s Script) Run(ctx context.Context, f Flush) error {
	target, err := s.at(f)
	if err != nil {
		return err
	}
	if s.kind == "exec" {
		err = execute(ctx, target, f.args())
	} else {
		err = ask(ctx, s.kind, target, f.args())
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("flush script %s:%s: %w", s.kind, target, err)
	}
	return nil
}

// ask has the script behind a socket do it.
func ask(ctx context.Context, network, address string, args []string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := io.WriteString(conn, hello+strings.Join(args, "\n")+"\n\n"); err != nil {
		return err
	}
	return readAnswer(conn)
}

// readAnswer reads what a script says. Its last line reports whether it succeeded.
func readAnswer(r io.Reader) error {
	limited := &io.LimitedReader{R: r, N: maxAnswer}
	lines := bufio.NewReader(limited)
	var last string
	text := &head{}
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			if last != "" {
				text.Write([]byte(last))
			}
			last = line
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	switch {
	case limited.N == 0:
		return fmt.Errorf("said more than %d bytes", maxAnswer)
	case last == "+\n":
		return nil
	case last == "-\n":
		return failure(errors.New("failed"), text)
	}
	text.Write([]byte(last))
	return failure(errors.New("ended without a last line + or -"), text)
}

// execute runs a program.
func execute(ctx context.Context, path string, args []string) error {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = programs.Environment(os.LookupEnv)
	// It leads a process group of its own, so that its children die with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = waitDelay
	text := &head{}
	cmd.Stdout, cmd.Stderr = text, text
	if err := cmd.Run(); err != nil {
		return failure(err, text)
	}
	return nil
}

func failure(err error, text *head) error {
	if said := strings.TrimSpace(text.String()); said != "" {
		return fmt.Errorf("%w: %q", err, said)
	}
	return err
}

// head keeps the beginning of what is written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(b []byte) (int, error) {
	h.Buffer.Write(b[:min(len(b), maxText-h.Len())])
	return len(b), nil
}
