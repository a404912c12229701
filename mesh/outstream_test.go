package mesh

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// plainOut returns an outgoing stream in the clear, its running writer's end, and the other end.
func plainOut(t *testing.T) (o *outStream, ended <-chan error, far *secureStream) {
	t.Helper()
	near, conn := ends(t)
	o = newOutStream("d2", &secureStream{conn: near, r: near, w: near})
	done := make(chan error, 1)
	go func() { done <- o.serve(func([]messageSize) {}) }()
	t.Cleanup(func() { o.close(errors.New("the test is over")) })
	return o, done, &secureStream{conn: conn, r: conn, w: conn}
}

func TestOutStreamOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, ended, far := plainOut(t)
		sizes := []int{1, 10, 70_000, 3, 500_000, 2}
		for _, size := range sizes {
			if err := o.add(bytes.Repeat([]byte{byte(size)}, size)); err != nil {
				t.Fatal(err)
			}
			o.push(nil)
		}
		for _, size := range sizes {
			got, err := readFrame(far.r, nil, 1<<20)
			if err != nil || len(got) != size || got[0] != byte(size) {
				t.Fatalf("got %d bytes, %v; want %d", len(got), err, size)
			}
		}
		<-o.emptied()
		if size := o.size(); size != 0 {
			t.Errorf("%d bytes are still counted", size)
		}
		cause := errors.New("enough")
		o.close(cause)
		if err := <-ended; err != cause {
			t.Errorf("ended with %v", err)
		}
		if err := o.add([]byte("late")); err != cause {
			t.Errorf("add after the end: %v", err)
		}
	})
}

// TestOutStreamOverflow checks that adding never waits: a peer that does not read costs at most the
// queue's bound and is given up.
func TestOutStreamOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, ended, _ := plainOut(t)
		start := time.Now()
		message := make([]byte, 1<<20)
		var err error
		added := 0
		for err == nil {
			if err = o.add(message); err == nil {
				added++
				o.push(nil)
			}
		}
		if !errors.Is(err, errQueueFull) || added*len(message) > maxQueueBytes {
			t.Errorf("after %d MiB: %v", added, err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("adding took %s", took)
		}
		if err := <-ended; !errors.Is(err, errQueueFull) {
			t.Errorf("ended with %v", err)
		}
		<-o.emptied()
	})
}

func TestOutStreamStuckPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, ended, _ := plainOut(t)
		start := time.Now()
		if err := o.add(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		o.push(nil)
		if err := <-ended; err == nil {
			t.Error("ended without an error")
		}
		if took := time.Since(start); took != writeTime {
			t.Errorf("a peer that does not read was given up after %s, want %s", took, writeTime)
		}
	})
}
