// Package rowset collects rows of users on their way into messages.
//
// A Set is what one message is to carry, such as the users of a Hold. The Outbox is what lookups
// made and changed since the last batch; it alone of the core's structures is safe for concurrent
// use. Both pack in the order of tags and hashes, so that equal inputs give equal messages, and in
// blocks of MaxRows at most.
//
// The package knows sizes and order. Package replica decides which rows travel, when and to which
// peers, and what stamps their messages get.
package rowset
