package ring

import "cmp"

// User is a user of one tag; the same hash in two tags is two users.
type User struct {
	Tag  Tag
	Hash UserHash
}

// CompareUsers orders users by tag, then by hash.
func CompareUsers(a, b User) int {
	return cmp.Or(cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.Hash, b.Hash))
}
