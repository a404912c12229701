package directory

import "fmt"

// MeshID identifies a mesh. It is drawn at random when a mesh is founded and
// never changes. Zero is the ID of a director that belongs to no mesh.
type MeshID uint64

// String returns 16 hexadecimal digits.
func (id MeshID) String() string { return fmt.Sprintf("%016x", uint64(id)) }
