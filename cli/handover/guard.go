package handover

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// guardScript has FIFOs open from descriptor 3 on and waits until its input ends, which is when its
// holder is gone, however that came. Then it removes the FIFOs, if they are still those, and lets
// go of them. No signal but SIGKILL ends it earlier.
const guardScript = `trap '' HUP INT QUIT TERM PIPE
while read -r line; do :; done
fd=3
for fifo do
	if [ "$fifo" -ef "/proc/self/fd/$fd" ]; then rm -f -- "$fifo"; fi
	fd=$((fd + 1))
done`

// guard is a process that outlives a holder of FIFOs. A FIFO without a reader freezes the login
// process that opens it next; a missing FIFO does no harm. So a FIFO must not stay when holder and
// director are killed together.
type guard struct {
	cmd  *exec.Cmd
	life io.Closer // closed with the holder's process, too
}

// startGuard starts the guard of these FIFOs. Without any it returns nil.
func startGuard(fifos []*os.File) (*guard, error) {
	if len(fifos) == 0 {
		return nil, nil
	}
	args := []string{"-c", guardScript, "director-guard"}
	for _, f := range fifos {
		args = append(args, f.Name())
	}
	cmd := exec.Command("/bin/sh", args...)
	cmd.Dir = "/"
	cmd.ExtraFiles = fifos // from descriptor 3 on
	// What kills the process group of the holder does not kill it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("guarding FIFOs: %w", err)
	}
	return &guard{cmd: cmd, life: life}, nil
}

// end lets the guard remove the FIFOs now, and waits for that.
func (g *guard) end() {
	if g == nil {
		return
	}
	g.life.Close()
	_ = g.cmd.Wait() // if it was killed there is nothing to be done
}
