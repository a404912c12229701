package mesh

import (
	"encoding/binary"
	"errors"
	"fmt"

	"directormesh/mesh/replica"
)

// meta is what memberlist spreads about a director beside its name and address. With the boot id in
// it, a quick restart is seen by all.
type meta struct {
	protocol uint8
	boot     uint64
}

const (
	metaVersion = 1
	metaSize    = 1 + 1 + 8
)

func (m meta) encode() []byte {
	b := []byte{metaVersion, m.protocol}
	return binary.BigEndian.AppendUint64(b, m.boot)
}

// decodeMeta reads what encode wrote; later versions may append to it.
func decodeMeta(b []byte) (meta, error) {
	if len(b) < metaSize {
		return meta{}, fmt.Errorf("node meta of %d bytes is too short", len(b))
	}
	if b[0] < metaVersion {
		return meta{}, fmt.Errorf("node meta of version %d", b[0])
	}
	m := meta{protocol: b[1], boot: binary.BigEndian.Uint64(b[2:])}
	if m.boot == 0 {
		return meta{}, errors.New("node meta without a boot id")
	}
	return m, nil
}

func (n *Node) meta() meta {
	return meta{protocol: replica.ProtocolVersion, boot: n.boot.Load()}
}
