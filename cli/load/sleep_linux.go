package load

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// timerSleeper waits for a timer of the kernel's. Go's own timers of an idle program are late by up
// to a millisecond, which is many times the latency that is to be measured.
type timerSleeper struct {
	fd   int
	file *os.File // owns fd
	buf  [8]byte
}

func newSleeper() (sleeper, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("timer: %w", err)
	}
	return &timerSleeper{fd: fd, file: os.NewFile(uintptr(fd), "timer")}, nil
}

func (s *timerSleeper) sleep(d time.Duration) error {
	if d <= 0 {
		return nil // zero would disarm the timer
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
	if err := unix.TimerfdSettime(s.fd, 0, &spec, nil); err != nil {
		return fmt.Errorf("timer: %w", err)
	}
	_, err := s.file.Read(s.buf[:])
	return err
}

func (s *timerSleeper) close() error { return s.file.Close() }
