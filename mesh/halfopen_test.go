package mesh

import (
	"io"
	"testing"
)

// closeCounter is a connection that counts how often it was closed.
type closeCounter struct {
	byteConn
	closed int
}

func (c *closeCounter) Close() error {
	c.closed++
	return nil
}

func TestHalfOpenClosesTheOldest(t *testing.T) {
	evicted := 0
	h := &halfOpen{max: 3, evicted: func() { evicted++ }}
	conns := make([]*closeCounter, 6)
	release := make([]func(), len(conns))
	for i := range conns {
		conns[i] = new(closeCounter)
	}
	for i := range 3 {
		release[i] = h.add(conns[i])
	}
	release[1]() // authenticated
	release[1]()
	for i := 3; i < len(conns); i++ {
		release[i] = h.add(conns[i])
	}
	want := []int{1, 0, 1, 0, 0, 0}
	for i, c := range conns {
		if c.closed != want[i] {
			t.Errorf("connection %d was closed %d times, want %d", i, c.closed, want[i])
		}
	}
	if evicted != 2 || h.count() != 3 {
		t.Errorf("%d evicted, %d left; want 2 and 3", evicted, h.count())
	}
	for _, r := range release {
		r()
	}
	if h.count() != 0 {
		t.Errorf("%d left after all were released", h.count())
	}
}

func TestForeignConn(t *testing.T) {
	budget := &readBudget{left: 10}
	released := 0
	open := func(data string) *foreignConn {
		c := &byteConn{r: readerOf(data)}
		return &foreignConn{Conn: c, first: []byte{7}, budget: budget, release: func() { released++ }}
	}
	one, two := open("12345678"), open("abcdefgh")
	got, err := io.ReadAll(one)
	if err != nil || string(got) != "\x0712345678" {
		t.Fatalf("read %q, %v", got, err)
	}
	if _, err := io.ReadAll(two); err != errForeignBytes {
		t.Errorf("reading beyond the budget: %v", err)
	}
	for _, c := range []*foreignConn{one, two, one} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if used := budget.used.Load(); used != 0 || released != 2 {
		t.Errorf("%d bytes are still used, %d connections released; want 0 and 2", used, released)
	}
}
