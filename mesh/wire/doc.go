// Package wire owns the messages between directors and their encoding. It is
// the only package that uses msgpack.
//
// Package replica decides when a message is sent and what it means to its
// receiver. Package mesh carries, frames, encrypts and authenticates the bytes.
//
// # Format
//
// An encoded message is one byte of Kind, one byte of version, and one msgpack
// array with the fields of the message in a fixed order. A later version may
// only append fields: to a message, and to any array inside it that stands for
// a struct. Decode skips what is appended, whatever the version byte says, so
// that directors of different releases understand each other while a mesh is
// upgraded. A field that was appended after version 1 is not written if it and
// all fields after it are zero; a missing field is read as zero. For an unknown
// kind Decode gives ErrUnknownKind, which callers count and skip. For an unknown
// kind of a log it gives an Unknown, which takes the message's place in the log.
//
// Mappings travel in Blocks: the rows of one tag, column by column, each column
// as narrow as its values allow.
//
// # Trust
//
// Decode is made for hostile bytes. No length is used before it has been
// compared with the bytes that are left, nothing is decoded recursively or into
// an interface, and what is allocated stays within a small multiple of the
// input. A decoded message is complete and in range, shares no memory with the
// input, and can be encoded again. Whether it makes sense (a stamp far in
// the future, a position never reached) is for its receiver to judge.
//
// Encode refuses what Decode would refuse.
//
// All functions are safe for concurrent use; a Block is immutable. The messages
// themselves are plain data: a goroutine that changes one must be its only user.
package wire
