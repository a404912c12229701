package mesh

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"directormesh/mesh/replica"
)

// meta is what memberlist spreads about a director beside its name and address. With the boot id in it, a quick restart is seen by
// all, and the start time tells which of two directors of one name came later.
type meta struct {
	protocol uint8
	boot     uint64
	started  time.Time // wall clock, milliseconds
}

const (
	metaVersion = 1
	metaSize    = 1 + 1 + 8 + 8
)

func (m meta) encode() []byte {
	b := []byte{metaVersion, m.protocol}
	b = binary.BigEndian.AppendUint64(b, m.boot)
	return binary.BigEndian.AppendUint64(b, uint64(m.started.UnixMilli()))
}

// decodeMeta reads what encode wrote; later versions may append to it.
func decodeMeta(b []byte) (meta, error) {
	if len(b) < metaSize {
		return meta{}, fmt.Errorf("node meta of %d bytes is too short", len(b))
	}
	if b[0] < metaVersion {
		return meta{}, fmt.Errorf("node meta of version %d", b[0])
	}
	m := meta{
		protocol: b[1],
		boot:     binary.BigEndian.Uint64(b[2:]),
		started:  time.UnixMilli(int64(binary.BigEndian.Uint64(b[10:]))),
	}
	if m.boot == 0 {
		return meta{}, errors.New("node meta without a boot id")
	}
	return m, nil
}

func (n *Node) meta() meta {
	return meta{protocol: replica.ProtocolVersion, boot: n.boot.Load(), started: n.started}
}
