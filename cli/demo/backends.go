package demo

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// idle is how long a client of a sample backend may say nothing.
const idle = time.Minute

// Backends are sample backends that greet like IMAP servers, all at one port. It is safe for
// concurrent use.
type Backends struct {
	port uint16

	mu       sync.Mutex
	stopped  map[netip.Addr]bool
	clients  map[net.Conn]netip.Addr
	closed   bool
	listens  []net.Listener
	serving  sync.WaitGroup
	greeting string
}

// Listen starts sample backends at addresses of this machine, all at one port that the kernel
// chooses.
func Listen(addrs []netip.Addr) (*Backends, error) {
	b := &Backends{
		stopped: make(map[netip.Addr]bool), clients: make(map[net.Conn]netip.Addr),
		greeting: "* OK [CAPABILITY IMAP4rev1] sample backend\r\n",
	}
	for _, addr := range addrs {
		l, err := net.Listen("tcp", netip.AddrPortFrom(addr, b.port).String())
		if err != nil {
			b.Close()
			return nil, fmt.Errorf("sample backend: %w", err)
		}
		b.port = l.Addr().(*net.TCPAddr).AddrPort().Port()
		b.listens = append(b.listens, l)
		b.serving.Go(func() { b.serve(l, addr) })
	}
	return b, nil
}

// Port is where they listen.
func (b *Backends) Port() uint16 { return b.port }

// Stop makes a backend close its connections and answer no more, until Start.
func (b *Backends) Stop(addr netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped[addr] = true
	for c, at := range b.clients {
		if at == addr {
			c.Close()
		}
	}
}

// Start makes a backend answer again.
func (b *Backends) Start(addr netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.stopped, addr)
}

// Close ends all of them.
func (b *Backends) Close() {
	b.mu.Lock()
	b.closed = true
	for c := range b.clients {
		c.Close()
	}
	b.mu.Unlock()
	for _, l := range b.listens {
		l.Close()
	}
	b.serving.Wait()
}

func (b *Backends) serve(l net.Listener, addr netip.Addr) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(100 * time.Millisecond) // too many files, perhaps
			continue
		}
		if !b.take(c, addr) {
			c.Close()
			continue
		}
		b.serving.Go(func() { b.converse(c) })
	}
}

// take reports whether a client is served.
func (b *Backends) take(c net.Conn, addr netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.stopped[addr] {
		return false
	}
	b.clients[c] = addr
	return true
}

// converse greets a client and lets it log out. RFC 9051, 6.1.3 and 7.1.
func (b *Backends) converse(c net.Conn) {
	defer func() {
		c.Close()
		b.mu.Lock()
		delete(b.clients, c)
		b.mu.Unlock()
	}()
	// An error ends the next read or write too.
	_ = c.SetDeadline(time.Now().Add(idle))
	if _, err := c.Write([]byte(b.greeting)); err != nil {
		return
	}
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		_ = c.SetDeadline(time.Now().Add(idle))
		tag, command, _ := strings.Cut(lines.Text(), " ")
		answer := tag + " BAD this backend is a sample\r\n"
		logout := strings.EqualFold(command, "LOGOUT")
		if logout {
			answer = "* BYE\r\n" + tag + " OK\r\n"
		}
		if _, err := c.Write([]byte(answer)); err != nil || logout {
			return
		}
	}
}
