#compdef director
# zsh completion for director

# What a director names in the first column.
_director_ask() {
	"$words[1]" "$@" 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_director() {
	local place= word i args=0
	local -a items addr
	for ((i = 2; i < CURRENT; i++)); do
		word=$words[i]
		case $word in
		-a|--addr) ((i++)); addr=(-a "$words[i]") ;;
		--config|--kick-command|--encrypt-key-file|--data-dir|--run-dir|--web-config-file|--login-socket|--auth-login-socket|--userdb-socket|--auth-userdb-socket|--authreply-socket|--admin-socket|--kick-ipc|--kick-anvil|--backend-doveadm-key|--health-login|--addr|-a|--file|-f|--ca|--cert|--key|--password-file|--from|--log-level|--log-format|--door|--as|--node-name|--mesh-name|--bind|--advertise|--join|--resolve-every|--mail-servers|--user-expire|--user-kick-delay|--username-hash|--max-parallel-moves|--max-parallel-kicks|--data-dir-damaged|--history-size|--history-age|--socket-mode|--http-readers|--http-admins|--http-hosts|--http|--metrics|--login-socket-mode|--userdb-socket-mode|--authreply-socket-mode|--master-user-separator|--admin-socket-mode|--admin-tcp|--sessions-interval|--flush-socket|--backend-doveadm|--health-check|--slow-start|--balance|--balance-load|--event-command|--event-url|--event-kinds|--socket|--user|--if-plan|--hash|--name|-u|--number|-n|--since|--until|--at|--kinds|--host|--output|-o|--tag|-t|--by|--over|--max-parallel|--field|--timeout|--without|--rate|--depth|--connections|--duration|--patience|--users|--names|--zipf|--password|--service|--seed) ((i++)) ;;
		-*) ;;
		*) case "$place $word" in
			" serve") place="serve" ;;
			" hold") place="hold" ;;
			" dev") place="dev" ;;
			" lookup") place="lookup" ;;
			" status") place="status" ;;
			" health") place="health" ;;
			" balance") place="balance" ;;
			" map") place="map" ;;
			" pins") place="pins" ;;
			" dump") place="dump" ;;
			" history") place="history" ;;
			" watch") place="watch" ;;
			" who") place="who" ;;
			" doctor") place="doctor" ;;
			" debug") place="debug" ;;
			" plan") place="plan" ;;
			" add") place="add" ;;
			" update") place="update" ;;
			" remove") place="remove" ;;
			" up") place="up" ;;
			" down") place="down" ;;
			" drain") place="drain" ;;
			" undrain") place="undrain" ;;
			" move") place="move" ;;
			" kick") place="kick" ;;
			" flush") place="flush" ;;
			" rebalance") place="rebalance" ;;
			" pin") place="pin" ;;
			" unpin") place="unpin" ;;
			" import") place="import" ;;
			" ring") place="ring" ;;
			" keys") place="keys" ;;
			" reload") place="reload" ;;
			" data") place="data" ;;
			" bench") place="bench" ;;
			" version") place="version" ;;
			" completion") place="completion" ;;
			" man") place="man" ;;
			"plan add") place="plan add" ;;
			"plan update") place="plan update" ;;
			"plan remove") place="plan remove" ;;
			"plan up") place="plan up" ;;
			"plan down") place="plan down" ;;
			"plan drain") place="plan drain" ;;
			"plan undrain") place="plan undrain" ;;
			"plan rebalance") place="plan rebalance" ;;
			"plan flush") place="plan flush" ;;
			"plan pin") place="plan pin" ;;
			"plan unpin") place="plan unpin" ;;
			"ring status") place="ring status" ;;
			"ring add") place="ring add" ;;
			"ring remove") place="ring remove" ;;
			"keys list") place="keys list" ;;
			"keys rotate") place="keys rotate" ;;
			"keys add") place="keys add" ;;
			"keys use") place="keys use" ;;
			"keys remove") place="keys remove" ;;
			"keys generate") place="keys generate" ;;
			"data inspect") place="data inspect" ;;
			*) ((args++)) ;;
			esac ;;
		esac
	done
	case $place in
	"") items=(
		'serve:run a director'
		'hold:run a director and keep its sockets and FIFO open'
		'dev:run three sample directors and say what to try'
		'lookup:look users up as a proxy does at a login'
		'status:show the backends, or where a user is'
		'health:show which backends fail, with an exit status for monitoring'
		'balance:show how the load of backends is evened out'
		'map:list mappings, or translate between names and hashes'
		'pins:list the users who are pinned'
		'dump:print commands that recreate the table of backends'
		'history:show who changed what, or where a user was and why'
		'watch:show what happens in the mesh, as it happens'
		'who:list the sessions of users, on all directors'
		'doctor:find what is wrong with the mesh and its hosts'
		'debug:collect what helps to find a fault, in a file to send'
		'plan:show which users a change would move'
		'add:add a backend, or change its vhost count'
		'update:change a backend'\''s vhost count'
		'remove:remove a backend and end the sessions on it'
		'up:let a backend have new users again'
		'down:keep new users away from a backend'
		'drain:move all users away from a backend'
		'undrain:let a drained backend have new users again'
		'move:give one user another backend'
		'kick:end a user'\''s sessions everywhere'
		'flush:move users to the backend that the ring gives'
		'rebalance:move users to where they hash now, over a time'
		'pin:send a user to one backend, whatever the hash says'
		'unpin:let a user who is pinned go by hash again'
		'import:take backends and mappings over from a running Dovecot director'
		'ring:show and change which directors belong to the mesh'
		'keys:show and change the keys that encrypt the mesh'
		'reload:make a director read its settings again'
		'data:look into a data directory'
		'bench:put load on directors, time and check their answers'
		'version:print the version of this program'
		'completion:print the completion for a shell'
		'man:print a page of the manual'
		) ;;
	"serve") items=(
		--config
		--check
		--as
		--node-name
		--mesh-name
		--bind
		--advertise
		--join
		--resolve-every
		--mail-servers
		--user-expire
		--user-kick-delay
		--username-hash
		--max-parallel-moves
		--max-parallel-kicks
		--kick-command
		--encrypt-key-file
		--serve-alone
		--insecure
		--data-dir
		--data-dir-damaged
		--history-size
		--history-age
		--log-level
		--log-format
		--run-dir
		--socket-mode
		--web-config-file
		--http-readers
		--http-admins
		--http-hosts
		--http
		--metrics
		--login-socket
		--login-socket-mode
		--auth-login-socket
		--userdb-socket
		--userdb-socket-mode
		--auth-userdb-socket
		--authreply-socket
		--authreply-socket-mode
		--master-user-separator
		--admin-socket
		--admin-socket-mode
		--admin-tcp
		--kick-ipc
		--kick-anvil
		--sessions-interval
		--flush-socket
		--backend-doveadm
		--backend-doveadm-key
		--health-check
		--health-login
		--slow-start
		--balance
		--balance-load
		--event-command
		--event-url
		--event-kinds
		--help
		) ;;
	"hold") items=(
		--socket
		--help
		) ;;
	"dev") items=(
		--demo
		--log-level
		--help
		) ;;
	"lookup") items=(
		--addr
		-a
		--json
		--file
		-f
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"status") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"health") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"balance") items=(
		--addr
		-a
		--json
		--reset
		--plan
		--if-plan
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"map") items=(
		--addr
		-a
		--json
		--file
		-f
		--hash
		--name
		-u
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"pins") items=(
		--addr
		-a
		--json
		--file
		-f
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"dump") items=(
		--addr
		-a
		--json
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"history") items=(
		--addr
		-a
		--json
		--number
		-n
		--since
		--until
		--at
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"watch") items=(
		--addr
		-a
		--json
		--number
		-n
		--once
		--kinds
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"who") items=(
		--addr
		-a
		--json
		--host
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"doctor") items=(
		--addr
		-a
		--json
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"debug") items=(
		--addr
		-a
		--output
		-o
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"plan") items=(
		'add:show what "add" would do'
		'update:show what "update" would do'
		'remove:show what "remove" would do'
		'up:show what "up" would do'
		'down:show what "down" would do'
		'drain:show what "drain" would do'
		'undrain:show what "undrain" would do'
		'rebalance:show what "rebalance" would do'
		'flush:show what "flush" would do'
		'pin:show what "pin" would do'
		'unpin:show what "unpin" would do'
		) ;;
	"plan add") items=(
		--addr
		-a
		--json
		--tag
		-t
		--standby
		--slow-start
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"plan update") items=(
		--addr
		-a
		--json
		--slow-start
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"plan remove") items=(
		--addr
		-a
		--json
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"plan up") items=(
		--addr
		-a
		--json
		--slow-start
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"plan down") items=(
		--addr
		-a
		--json
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"plan drain") items=(
		--addr
		-a
		--json
		--by
		--over
		--max-parallel
		--force
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"plan undrain") items=(
		--addr
		-a
		--json
		--slow-start
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"plan rebalance") items=(
		--addr
		-a
		--json
		--by
		--over
		--max-parallel
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"plan flush") items=(
		--addr
		-a
		--json
		--max-parallel
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"plan pin") items=(
		--addr
		-a
		--json
		--hash
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"plan unpin") items=(
		--addr
		-a
		--json
		--hash
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"add") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--tag
		-t
		--standby
		--slow-start
		--plan
		--if-plan
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"update") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--slow-start
		--plan
		--if-plan
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"remove") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--plan
		--if-plan
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"up") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--slow-start
		--plan
		--if-plan
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"down") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--plan
		--if-plan
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"drain") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--by
		--over
		--max-parallel
		--plan
		--if-plan
		--force
		--wait
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"undrain") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--slow-start
		--plan
		--if-plan
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"move") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--wait
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"kick") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--field
		-f
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"flush") items=(
		--addr
		-a
		--verbose
		-v
		--json
		--forget
		-F
		--max-parallel
		--watch
		--cancel
		--plan
		--if-plan
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"rebalance") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--by
		--over
		--max-parallel
		--plan
		--if-plan
		--wait
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"pin") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--hash
		--wait
		--plan
		--if-plan
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"unpin") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--hash
		--plan
		--if-plan
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"import") items=(
		--addr
		-a
		--json
		--from
		--follow
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"ring") items=(
		'status:show the directors and their states'
		'add:contact a director, or accept it again'
		'remove:make the mesh refuse a director'
		) ;;
	"ring status") items=(
		--addr
		-a
		--json
		--wait
		--timeout
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"ring add") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"ring remove") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"keys") items=(
		'list:show the ids of the mesh'\''s keys, and who has them'
		'rotate:replace the key that encrypts by a new one'
		'add:give all directors another key to decrypt with'
		'use:make all directors encrypt with a key that they have'
		'remove:remove a key for good'
		'generate:print a new key, as a line for --encrypt-key-file'
		) ;;
	"keys list") items=(
		--addr
		-a
		--json
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"keys rotate") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--without
		--from-file
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"keys add") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"keys use") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--without
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"keys remove") items=(
		--addr
		-a
		--json
		--verbose
		-v
		--without
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"keys generate") items=(
		--help
		) ;;
	"reload") items=(
		--addr
		-a
		--json
		--ca
		--cert
		--key
		--user
		--password-file
		--help
		) ;;
	"data") items=(
		'inspect:show what is in a data directory'
		) ;;
	"data inspect") items=(
		--json
		--help
		) ;;
	"bench") items=(
		--addr
		-a
		--json
		--door
		--rate
		--depth
		--connections
		--duration
		--patience
		--users
		--names
		--tag
		--zipf
		--each
		--moves
		--password
		--service
		--seed
		--help
		) ;;
	"version") items=(
		--json
		--help
		) ;;
	"completion") items=(
		--help
		) ;;
	"man") items=(
		--help
		) ;;
	esac
	case $words[CURRENT-1] in
	--config|--kick-command|--encrypt-key-file|--data-dir|--run-dir|--web-config-file|--login-socket|--auth-login-socket|--userdb-socket|--auth-userdb-socket|--authreply-socket|--admin-socket|--kick-ipc|--kick-anvil|--backend-doveadm-key|--health-login|--addr|-a|--file|-f|--ca|--cert|--key|--password-file|--from) _files; return ;;
	--log-level) compadd debug info warn error; return ;;
	--log-format) compadd json text; return ;;
	--door) compadd authreply http login userdb; return ;;
	--as|--node-name|--mesh-name|--bind|--advertise|--join|--resolve-every|--mail-servers|--user-expire|--user-kick-delay|--username-hash|--max-parallel-moves|--max-parallel-kicks|--data-dir-damaged|--history-size|--history-age|--socket-mode|--http-readers|--http-admins|--http-hosts|--http|--metrics|--login-socket-mode|--userdb-socket-mode|--authreply-socket-mode|--master-user-separator|--admin-socket-mode|--admin-tcp|--sessions-interval|--flush-socket|--backend-doveadm|--health-check|--slow-start|--balance|--balance-load|--event-command|--event-url|--event-kinds|--socket|--user|--if-plan|--hash|--name|-u|--number|-n|--since|--until|--at|--kinds|--host|--output|-o|--tag|-t|--by|--over|--max-parallel|--field|--timeout|--without|--rate|--depth|--connections|--duration|--patience|--users|--names|--zipf|--password|--service|--seed) return ;;
	esac
	if [[ $words[CURRENT] != -* ]]; then
		case "$place $args" in
		"update 0") compadd -- $(_director_ask $addr status); return ;;
		"remove 0") compadd -- $(_director_ask $addr status); return ;;
		"up 0") compadd -- $(_director_ask $addr status); return ;;
		"down 0") compadd -- $(_director_ask $addr status); return ;;
		"map 0") compadd -- $(_director_ask $addr status); return ;;
		"drain 0") compadd -- $(_director_ask $addr status); return ;;
		"undrain 0") compadd -- $(_director_ask $addr status); return ;;
		"plan update 0") compadd -- $(_director_ask $addr status); return ;;
		"plan remove 0") compadd -- $(_director_ask $addr status); return ;;
		"plan up 0") compadd -- $(_director_ask $addr status); return ;;
		"plan down 0") compadd -- $(_director_ask $addr status); return ;;
		"plan drain 0") compadd -- $(_director_ask $addr status); return ;;
		"plan undrain 0") compadd -- $(_director_ask $addr status); return ;;
		"plan flush 0") compadd -- all $(_director_ask $addr status); return ;;
		"plan pin 1") compadd -- $(_director_ask $addr status); return ;;
		"flush 0") compadd -- all $(_director_ask $addr status); return ;;
		"move 1") compadd -- $(_director_ask $addr status); return ;;
		"pin 1") compadd -- $(_director_ask $addr status); return ;;
		"ring remove 0") compadd -- $(_director_ask $addr ring status); return ;;
		"completion 0") compadd -- bash zsh fish; return ;;
		"man 0") compadd -- director director.yaml; return ;;
		esac
	fi
	_describe director items
}
if [ "$funcstack[1]" = _director ]; then
	_director "$@"
else
	compdef _director director
fi
