// Package authrelay is the doors that stand in front of Dovecot's auth service: login processes,
// LMTP and doveadm ask auth through them, and the director adds the backend to the replies that
// want a proxy and name none.
//
//	imap-login, pop3-login …  ── Login ──────┐
//	lmtp, doveadm             ── Userdb ─────┼─→ Dovecot's auth (auth-login, auth-userdb)
//	anything with reply lines ── Authreply   │
//	                                  └──────┴─→ Director: which backend?
//
// It owns the relaying, the fields about proxying in a reply line, and the fields that are
// appended. The Director decides the backend. The package takes no part in the handshakes, and sees
// passwords only in lines that pass through.
//
// # Relaying
//
// One upstream connection belongs to each client connection, because auth tells clients apart by
// it. Both directions are passed on as soon as a line is complete, byte for byte: VERSION lines,
// ids, words and fields that are not known here. So the door serves Dovecot 2.3 and 2.4 alike, on
// whose handshakes only both ends have to agree. When one end closes, the other is closed too.
//
// Event loops watch all connections, and relay by themselves what need not wait (package
// eventloop). A goroutine takes over one direction of one client that has to wait: for a peer that
// does not read, or for its end. So a client without trouble has none.
//
// # Completing a reply
//
// Only OK lines (Login, Authreply) and PASS lines (Userdb) are looked at. One that has the field
// proxy or director_proxy_maybe, no host, and a user gets, at its end,
//
//	proxy_refresh=SECS host=IP                 proxy_refresh only with Config.ProxyRefresh
//	proxy_refresh=SECS host=NAME hostip=IP     if the backend was configured by name
//
// and the field that Config.Mark returns, if any. By that field kickers find the session if its
// login name does not identify the user. A director_proxy_maybe whose backend is the machine that
// asks gets nothing. The user is destuser, else user, up to the master user separator; the tag is
// director_tag.
//
// # Waiting and failing
//
// Nearly every lookup is answered at once. One that has to wait holds its own reply and no other.
// It ends in a backend or in "FAIL id code=temp_fail", which clients understand as a temporary
// failure; so does every request that is still open when the door stops or auth goes away, because
// a connection that just closes would look like a wrong password.
//
// That holds for all that a client could write: when the door ends a connection it first lets
// nothing more in (shutdown), reads what is there and answers it, a line without end too if its id
// is complete. A client that has shut down its own writing gets what auth answers within 40 s. No
// answer gets
//
//   - what was written before auth has greeted the client: there is nothing yet that it could read
//   - a line of which not even the id has come to its end, or that has none
//   - a client that does not read: it loses its connection after 30 s, at a stop after two
//   - a client beyond the number of connections that the door takes
//
// # Limits
//
// Lines, open requests and held replies are bounded; connections are where listeners are made. A
// request beyond the limit is refused alone; a line that is too long ends the connection. Trouble
// is counted, and logged ever more rarely while one cause goes on. A client that does not read, or
// an auth that does not answer, delays no other client.
package authrelay
