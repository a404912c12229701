package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// restartPause is how long a command that has ended stays so. Of one that ends again and again
	// within a restartPauseMost each pause is twice the one before, up to that.
	restartPause     = time.Second
	restartPauseMost = 30 * time.Second
	// badConfiguration is the exit status that a restart would not mend.
	badConfiguration = 78
)

// HoldConfig is what Hold needs.
type HoldConfig struct {
	Specs   []Spec
	Command []string // program and arguments
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	// passed on to the command; all but SIGHUP also end Hold
	Signals <-chan os.Signal
	Remark  func(format string, args ...any) // tells what happens
}

// Hold opens sockets and FIFOs and runs a command that takes them over. When the command ends, with
// any status, Hold starts it again. Meanwhile sockets and FIFOs stay open: clients queue, and
// writers to a FIFO do not block. Hold ends with the command when its configuration is bad, or
// after a signal to Hold; it returns the command's exit status. It removes the files that it has
// made. If Hold is killed, a guard removes the FIFOs: opening a FIFO without a reader would block.
func Hold(ctx context.Context, cfg HoldConfig) (status int, err error) {
	files := make([]*os.File, 0, len(cfg.Specs))
	defer func() {
		for i, f := range files {
			os.Remove(cfg.Specs[i].Path)
			f.Close()
		}
	}()
	names := make([]string, len(cfg.Specs))
	var fifos []*os.File
	for i, s := range cfg.Specs {
		f, err := s.open()
		if err != nil {
			return 0, err
		}
		files = append(files, f)
		names[i] = string(s.Kind)
		if s.Kind == Notify {
			fifos = append(fifos, f)
		}
	}
	guard, err := startGuard(fifos)
	if err != nil {
		return 0, err
	}
	defer guard.end()
	for pause := time.Duration(0); ; {
		began := time.Now()
		status, ending, err := runHeld(ctx, cfg, files, names)
		if err != nil || ending || status == badConfiguration {
			return status, err
		}
		pause = pauseAfter(pause, time.Since(began))
		cfg.Remark("%s has ended with status %d, starting it again in %v; its sockets stay open",
			cfg.Command[0], status, pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return status, nil
		case s := <-cfg.Signals:
			if s != syscall.SIGHUP {
				return status, nil
			}
		}
	}
}

// pauseAfter is how long a command that has ended stays so, by the pause before, which is 0 at
// first, and how long it has run.
func pauseAfter(before, lasted time.Duration) time.Duration {
	if before == 0 || lasted > restartPauseMost {
		return restartPause
	}
	return min(2*before, restartPauseMost)
}

// runHeld runs the command once. ending tells that it was asked to end.
func runHeld(
	ctx context.Context, cfg HoldConfig, files []*os.File, names []string,
) (status int, ending bool, err error) {
	// The environment must name the process that it is for, whose id is known only after the fork.
	cmd := exec.Command("/bin/sh", append([]string{
		"-c", `LISTEN_PID=$$; export LISTEN_PID; exec "$0" "$@"`,
	}, cfg.Command...)...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("LISTEN_FDS=%d", len(files)),
		"LISTEN_FDNAMES="+strings.Join(names, ":"))
	cmd.ExtraFiles = files // from descriptor 3 on
	cmd.Stdin, cmd.Stdout, cmd.Stderr = cfg.Stdin, cfg.Stdout, cfg.Stderr
	if err := cmd.Start(); err != nil {
		return 0, false, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	done := ctx.Done()
	for {
		select {
		case err := <-ended:
			status, err := exitStatus(err)
			return status, ending, err
		case s := <-cfg.Signals:
			ending = ending || s != syscall.SIGHUP
			_ = cmd.Process.Signal(s) // it may just have ended
		case <-done:
			done, ending = nil, true
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
	}
}

// exitStatus is the status as a shell tells it: 128 and the signal's number for a process that was
// killed.
func exitStatus(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return 0, err
	}
	if w, ok := exit.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal()), nil
	}
	return exit.ExitCode(), nil
}
