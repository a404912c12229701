//go:build scale

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"directormesh/cli/api"
)

const meshPort = 9790

// director is one process.
type director struct {
	name   string
	addr   netip.AddrPort
	dir    string
	cmd    *exec.Cmd
	client *api.Client
	ended  chan struct{}
}

// startDirector runs director number n, from 1; it joins all addresses given.
func (b *bench) startDirector(n int, join []netip.AddrPort, flags ...string) (*director, error) {
	d := &director{name: fmt.Sprintf("d%d", n), addr: addrOf(n)}
	d.dir = filepath.Join(b.dir, d.name)
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return nil, err
	}
	args := []string{"serve", "--node-name", d.name, "--bind", d.addr.String(), "--run-dir", d.dir,
		"--mail-servers", mailServers,
		"--auth-login-socket", "", "--auth-userdb-socket", "", "--admin-socket", "",
		"--sessions-interval", "45s"}
	if b.encrypt {
		args = append(args, "--encrypt-key-file", b.keyFile())
	}
	if len(join) > 0 {
		args = append(args, "--join", joined(join))
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	_ = os.Remove(d.socket("debug.sock"))
	d.cmd = exec.Command(self, append(args, flags...)...)
	d.cmd.Env = append(os.Environ(), debugSocket+"="+d.socket("debug.sock"))
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	d.ended = make(chan struct{})
	go func() { _ = d.cmd.Wait(); close(d.ended) }() // stop waits for it
	if d.client, err = api.NewClient(d.socket("director.sock")); err != nil {
		return nil, err
	}
	b.directors = append(b.directors, d)
	return d, nil
}

func (d *director) socket(name string) string { return filepath.Join(d.dir, name) }

// stop ends the process with a signal.
func (b *bench) stop(d *director, s syscall.Signal) {
	_ = d.cmd.Process.Signal(s) // it may have ended
	select {
	case <-d.ended:
	case <-time.After(20 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.ended
	}
	d.client.Close()
	for i, other := range b.directors {
		if other == d {
			b.directors = append(b.directors[:i:i], b.directors[i+1:]...)
		}
	}
}

// awaitSynced waits until a director answers by itself, and returns when that was.
func (d *director) awaitSynced(ctx context.Context) (time.Time, error) {
	for {
		self, err := d.client.Self(ctx)
		if err == nil && self.Synced {
			return time.Now(), nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%s is not synced: %s (%v)", d.name, self.Reason, err)
		case <-d.ended:
			return time.Time{}, fmt.Errorf("%s has ended; see %s", d.name, d.socket("log"))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// cpu is the processor time of the process so far.
func (d *director) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100)
}

// resident is the memory of a process, in bytes.
func resident(pid int) int64 { return statm(pid, 1) }

// anonymous is the part of resident that is not of the program's file, which all its processes
// share.
func anonymous(pid int) int64 { return statm(pid, 1) - statm(pid, 2) }

func statm(pid, column int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[column], 10, 64)
	return pages * int64(os.Getpagesize())
}

// metric returns the sum of those of the director's metrics that begin so.
func (d *director) metric(name string) (sum float64) {
	body, err := d.get("director.sock", "/metrics")
	if err != nil {
		return 0
	}
	defer body.Close()
	for lines := bufio.NewScanner(body); lines.Scan(); {
		if line := lines.Text(); strings.HasPrefix(line, name) {
			value, _ := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			sum += value
		}
	}
	return sum
}

func (d *director) received() float64 {
	return d.metric(`director_mesh_stream_bytes_total{direction="received"`)
}

func (d *director) sent() float64 {
	return d.metric(`director_mesh_stream_bytes_total{direction="sent"`)
}

// memory asks for the memory after a collection, which it makes happen.
func (d *director) memory() (u memoryUse, err error) {
	body, err := d.get("debug.sock", "/memory")
	if err != nil {
		return u, err
	}
	defer body.Close()
	return u, json.NewDecoder(body).Decode(&u)
}

// profile writes what the director spends its time on for some seconds to a file.
func (d *director) profile(seconds int, file string) error {
	body, err := d.get("debug.sock", fmt.Sprintf("/profile?seconds=%d", seconds))
	if err != nil {
		return err
	}
	defer body.Close()
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, body)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (d *director) get(socket, path string) (io.ReadCloser, error) {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", d.socket(socket))
		},
	}
	resp, err := (&http.Client{Transport: transport}).Get("http://director" + path)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// addrOf is the mesh's address of director number n.
func addrOf(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 7, byte(n)}), meshPort)
}

func joined(addrs []netip.AddrPort) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, ",")
}

// killSignal ends a director of which nothing more is wanted.
const killSignal = syscall.SIGKILL

func isNothingToCancel(err error) bool {
	var e *api.Error
	return errors.As(err, &e) && strings.Contains(e.Message, "cancel")
}
