package keyring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"directormesh/mesh/store"
	"directormesh/mesh/wire"
)

// FileName is the file of a data directory that has the keyring: a CRC-32C of 4 bytes, little
// endian, and behind it the encoded message. Nothing else in a data directory has a secret.
const FileName = "keyring"

const checksumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged is wrapped by the error of a file that is there and cannot be understood.
var ErrDamaged = errors.New("it is damaged, or of a later release")

// Load reads what a data directory has of a keyring; nil: nothing.
func Load(d store.FS) (*wire.Keyring, error) {
	in, err := d.Open(FileName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(in, checksumSize+wire.MaxMessage+1))
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, err
	}
	return parse(b)
}

// parse reads the content of a file.
func parse(b []byte) (*wire.Keyring, error) {
	if len(b) < checksumSize {
		return nil, ErrDamaged
	}
	content := b[checksumSize:]
	if binary.LittleEndian.Uint32(b) != crc32.Checksum(content, castagnoli) {
		return nil, ErrDamaged
	}
	m, err := wire.Decode(content)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	keys, ok := m.(*wire.Keyring)
	if !ok {
		return nil, ErrDamaged
	}
	return keys, nil
}

// Save keeps a keyring in a data directory; it is on the disk when the error is nil.
func Save(d store.FS, m *wire.Keyring) error {
	content, err := wire.Encode(m)
	if err != nil {
		return err
	}
	sum := crc32.Checksum(content, castagnoli)
	head := binary.LittleEndian.AppendUint32(nil, sum)
	return store.Replace(d, FileName, append(head, content...))
}
