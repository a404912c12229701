//go:build e2e

package netns

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDrop sends packets of all kinds through filters of all kinds, so that a test whose filter
// lets everything through, or nothing, does not pass for that.
func TestDrop(t *testing.T) {
	n := New(t)
	a, b := netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("10.77.0.2")
	from, to := n.Host("a", netip.PrefixFrom(a, 24)), n.Host("b", netip.PrefixFrom(b, 24))
	const port = 9
	var receiver, sender *net.UDPConn
	err := errors.Join(
		to.Do(func() (err error) {
			receiver, err = net.ListenUDP("udp4", &net.UDPAddr{IP: b.AsSlice(), Port: port})
			return err
		}),
		from.Do(func() (err error) {
			sender, err = net.DialUDP("udp4", nil, &net.UDPAddr{IP: b.AsSlice(), Port: port})
			return err
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	defer sender.Close()
	arrives := func(size int) bool {
		t.Helper()
		if _, err := sender.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if err := receiver.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		got, err := receiver.Read(make([]byte, size+1))
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		return err == nil && got == size
	}
	const headers = 28 // IPv4 and UDP
	for _, c := range []struct {
		name         string
		packets      Packets
		small, large bool // whether packets of 100 and 1,000 bytes get through
	}{
		{"all", Packets{}, false, false},
		{"UDP", Packets{Protocol: unix.IPPROTO_UDP}, false, false},
		{"TCP", Packets{Protocol: unix.IPPROTO_TCP}, true, true},
		{"from the sender", Packets{From: a}, false, false},
		{"from another", Packets{From: b}, true, true},
		{"to the receiver", Packets{To: b}, false, false},
		{"to another", Packets{To: a}, true, true},
		{"large", Packets{LargerThan: 100}, true, false},
		{"larger still", Packets{LargerThan: 1000}, true, true},
		{"large from the sender", Packets{From: a, LargerThan: 999}, true, false},
		{"large TCP", Packets{Protocol: unix.IPPROTO_TCP, LargerThan: 100}, true, true},
	} {
		undo := to.Drop(c.packets)
		small, large := arrives(100-headers), arrives(1000-headers)
		undo()
		if small != c.small || large != c.large {
			t.Errorf("%s: a small packet arrives: %v, a large one: %v", c.name, small, large)
		}
	}
	if !arrives(1000 - headers) {
		t.Error("a packet is lost after all filters are gone")
	}
	undo := to.Drop(Packets{Protocol: unix.IPPROTO_UDP, Share: 0.5})
	lost := 0
	for range 30 {
		if !arrives(100) {
			lost++
		}
	}
	if undo(); lost == 0 || lost == 30 {
		t.Errorf("%d of 30 packets are lost, want about half", lost)
	}
}

// TestNarrow sends more than a narrow link carries: packets wait for each other there, and the last
// ones do not get through.
func TestNarrow(t *testing.T) {
	n := New(t)
	a, b := netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("10.77.0.2")
	from, to := n.Host("a", netip.PrefixFrom(a, 24)), n.Host("b", netip.PrefixFrom(b, 24))
	const port = 9
	var receiver, sender *net.UDPConn
	err := errors.Join(
		to.Do(func() (err error) {
			receiver, err = net.ListenUDP("udp4", &net.UDPAddr{IP: b.AsSlice(), Port: port})
			return err
		}),
		from.Do(func() (err error) {
			sender, err = net.DialUDP("udp4", nil, &net.UDPAddr{IP: b.AsSlice(), Port: port})
			return err
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	defer sender.Close()
	undo := to.Narrow(400_000, 200*time.Millisecond)
	defer undo()
	began := time.Now()
	const sent = 60
	for range sent {
		if _, err := sender.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	arrived, last := 0, time.Duration(0)
	for buf := make([]byte, 2000); ; arrived++ {
		if err := receiver.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := receiver.Read(buf); err != nil {
			break
		}
		last = time.Since(began)
	}
	if arrived == 0 || arrived == sent || last < 100*time.Millisecond {
		t.Errorf("%d of %d packets arrived, the last one after %v", arrived, sent, last)
	}
}
