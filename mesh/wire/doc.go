// Package wire owns what directors say to each other: the messages and their
// encoding. It is the only package that knows msgpack.
//
// It does not own when a message is sent or what it means to its receiver
// (package replica), nor how bytes travel, are framed, encrypted or
// authenticated (package mesh).
//
// # Format
//
// An encoded message is one byte of Kind, one byte of version, and one msgpack
// array with the fields of the message in a fixed order. A later version may
// only append fields: to a message, and to any array inside it that stands for
// a struct. Decode skips what is appended, whatever the version byte says, so
// that directors of different releases understand each other while a mesh is
// upgraded. A field that was appended after version 1 is not written where it
// and all after it are zero, and is zero where it is missing. A kind that Decode
// does not know gives ErrUnknownKind, which callers count and skip; one of a
// log gives an Unknown, which takes its place in the log.
//
// Mappings travel in Blocks: the rows of one tag, column by column, each column
// as narrow as its values allow.
//
// # Trust
//
// Decode is made for hostile bytes. No length is believed before it has been
// compared with the bytes that are left, nothing is decoded recursively or into
// an interface, and what is allocated stays within a small multiple of the
// input. A decoded message is complete and in range, shares no memory with the
// input, and can be encoded again. Whether it makes sense (a stamp far in
// the future, a position never reached) is for its receiver to judge.
//
// Encode refuses what Decode would refuse.
//
// All functions are safe for concurrent use; a Block is immutable. The messages
// themselves are plain data: whoever changes one must be its only user.
package wire
