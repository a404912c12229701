//go:build e2e

package netns

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// Packets are those of IPv4 of which all that is set here is true; without anything set, all.
type Packets struct {
	Protocol   uint8      // unix.IPPROTO_…
	From, To   netip.Addr // IPv4
	LargerThan uint16     // bytes, with the IP header
	// Share is how many of these, drawn at random; 0: all.
	Share float64
}

// Offsets into an IPv4 header (RFC 791).
const (
	totalLength = 2
	protocol    = 9
	source      = 12
	destination = 16
)

// networkHeader is added to offsets that count from the IP header (SKF_NET_OFF in linux/filter.h).
const networkHeader = 0xfff00000

// randomNumber is where a filter finds 32 random bits (SKF_AD_OFF + SKF_AD_RANDOM there).
const randomNumber = 0xfffff000 + 56

// What a direct-action filter may return (linux/pkt_cls.h).
const (
	drop = 2
	pass = 0xffffffff // ask the next filter
)

// instruction is one of the classic Berkeley packet filter.
type instruction struct {
	code       uint16
	jumpTrue   uint8 // instructions to skip
	jumpFalse  uint8
	k          uint32
	passesElse bool // a jump that passes the packet where its condition does not hold
	passesIf   bool // one that does so where it holds
}

// program drops the packets and passes all others.
func (p Packets) program() []instruction {
	const jump = unix.BPF_JMP | unix.BPF_K
	var all []instruction
	demand := func(size uint16, offset uint32, condition uint16, value uint32) {
		all = append(all,
			instruction{code: unix.BPF_LD | unix.BPF_ABS | size, k: networkHeader + offset},
			instruction{code: jump | condition, k: value, passesElse: true})
	}
	if p.Protocol != 0 {
		demand(unix.BPF_B, protocol, unix.BPF_JEQ, uint32(p.Protocol))
	}
	if p.From.IsValid() {
		demand(unix.BPF_W, source, unix.BPF_JEQ, number(p.From))
	}
	if p.To.IsValid() {
		demand(unix.BPF_W, destination, unix.BPF_JEQ, number(p.To))
	}
	if p.LargerThan != 0 {
		demand(unix.BPF_H, totalLength, unix.BPF_JGT, uint32(p.LargerThan))
	}
	if p.Share > 0 {
		limit := uint32(min(p.Share, 1) * math.MaxUint32)
		all = append(all,
			instruction{code: unix.BPF_LD | unix.BPF_ABS | unix.BPF_W, k: randomNumber},
			// It drops up to the limit: the jump passes what is above.
			instruction{code: jump | unix.BPF_JGT, k: limit, passesIf: true})
	}
	all = append(all,
		instruction{code: unix.BPF_RET | unix.BPF_K, k: drop},
		instruction{code: unix.BPF_RET | unix.BPF_K, k: pass})
	for i := range all {
		toPass := uint8(len(all) - 1 - (i + 1))
		if all[i].passesElse {
			all[i].jumpFalse = toPass
		}
		if all[i].passesIf {
			all[i].jumpTrue = toPass
		}
	}
	return all
}

func number(a netip.Addr) uint32 {
	four := a.As4()
	return binary.BigEndian.Uint32(four[:])
}

// filter is the command that has an interface drop packets that it would send.
func filter(device string, number int, p Packets) []string {
	program := p.program()
	var code strings.Builder
	fmt.Fprintf(&code, "%d", len(program))
	for _, i := range program {
		fmt.Fprintf(&code, ",%d %d %d %d", i.code, i.jumpTrue, i.jumpFalse, i.k)
	}
	return []string{"tc", "filter", "add", "dev", device, "egress", "protocol", "ip",
		"pref", fmt.Sprint(number), "bpf", "da", "bytecode", code.String()}
}
