# bash completion for director

# What a director names in the first column.
_director_ask() {
	"${COMP_WORDS[0]}" "$@" 2>/dev/null | { read -r _ && while read -r word _; do echo "$word"; done; }
}

_director() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} place= args=0 word i words= files=
	local -a addr=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-a | --addr) addr=(-a "${COMP_WORDS[++i]}") ;;
		--config | --kick-command | --encrypt-key-file | --data-dir | --run-dir | --web-config-file | --login-socket | --auth-login-socket | --userdb-socket | --auth-userdb-socket | --authreply-socket | --admin-socket | --kick-ipc | --kick-anvil | --backend-doveadm-key | --health-login | --addr | -a | --file | -f | --ca | --cert | --key | --password-file | --from | --log-level | --log-format | --door | --as | --node-name | --mesh-name | --bind | --advertise | --join | --resolve-every | --mail-servers | --user-expire | --user-kick-delay | --username-hash | --max-parallel-moves | --max-parallel-kicks | --data-dir-damaged | --history-size | --history-age | --socket-mode | --http-readers | --http-admins | --http-hosts | --http | --metrics | --login-socket-mode | --userdb-socket-mode | --authreply-socket-mode | --master-user-separator | --admin-socket-mode | --admin-tcp | --sessions-interval | --flush-socket | --backend-doveadm | --health-check | --slow-start | --balance | --balance-load | --event-command | --event-url | --event-kinds | --socket | --user | --if-plan | --hash | --name | -u | --number | -n | --since | --until | --at | --kinds | --host | --output | -o | --tag | -t | --by | --over | --max-parallel | --field | --timeout | --without | --rate | --depth | --connections | --duration | --patience | --users | --names | --zipf | --password | --service | --seed) ((i++)) ;;
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
	"") words="serve hold dev lookup status health balance map pins dump history watch who doctor debug plan add update remove up down drain undrain move kick flush rebalance pin unpin import ring keys reload data bench version completion man" ;;
	"serve") words="--config --check --as --node-name --mesh-name --bind --advertise --join --resolve-every --mail-servers --user-expire --user-kick-delay --username-hash --max-parallel-moves --max-parallel-kicks --kick-command --encrypt-key-file --serve-alone --insecure --data-dir --data-dir-damaged --history-size --history-age --log-level --log-format --run-dir --socket-mode --web-config-file --http-readers --http-admins --http-hosts --http --metrics --login-socket --login-socket-mode --auth-login-socket --userdb-socket --userdb-socket-mode --auth-userdb-socket --authreply-socket --authreply-socket-mode --master-user-separator --admin-socket --admin-socket-mode --admin-tcp --kick-ipc --kick-anvil --sessions-interval --flush-socket --backend-doveadm --backend-doveadm-key --health-check --health-login --slow-start --balance --balance-load --event-command --event-url --event-kinds --help" ;;
	"hold") words="--socket --help" ;;
	"dev") words="--demo --log-level --help" ;;
	"lookup") words="--addr -a --json --file -f --ca --cert --key --user --password-file --help" ;;
	"status") words="--addr -a --json --verbose -v --ca --cert --key --user --password-file --help" ;;
	"health") words="--addr -a --json --verbose -v --ca --cert --key --user --password-file --help" ;;
	"balance") words="--addr -a --json --reset --plan --if-plan --ca --cert --key --user --password-file --help" ;;
	"map") words="--addr -a --json --file -f --hash --name -u --ca --cert --key --user --password-file --help" ;;
	"pins") words="--addr -a --json --file -f --ca --cert --key --user --password-file --help" ;;
	"dump") words="--addr -a --json --ca --cert --key --user --password-file --help" ;;
	"history") words="--addr -a --json --number -n --since --until --at --ca --cert --key --user --password-file --help" ;;
	"watch") words="--addr -a --json --number -n --once --kinds --ca --cert --key --user --password-file --help" ;;
	"who") words="--addr -a --json --host --ca --cert --key --user --password-file --help" ;;
	"doctor") words="--addr -a --json --ca --cert --key --user --password-file --help" ;;
	"debug") words="--addr -a --output -o --ca --cert --key --user --password-file --help" ;;
	"plan") words="add update remove up down drain undrain rebalance flush pin unpin" ;;
	"plan add") words="--addr -a --json --tag -t --standby --slow-start --ca --cert --key --user --password-file --help" ;;
	"plan update") words="--addr -a --json --slow-start --ca --cert --key --user --password-file --help" ;;
	"plan remove") words="--addr -a --json --ca --cert --key --user --password-file --help" ;;
	"plan up") words="--addr -a --json --slow-start --ca --cert --key --user --password-file --help" ;;
	"plan down") words="--addr -a --json --ca --cert --key --user --password-file --help" ;;
	"plan drain") words="--addr -a --json --by --over --max-parallel --force --ca --cert --key --user --password-file --help" ;;
	"plan undrain") words="--addr -a --json --slow-start --ca --cert --key --user --password-file --help" ;;
	"plan rebalance") words="--addr -a --json --by --over --max-parallel --ca --cert --key --user --password-file --help" ;;
	"plan flush") words="--addr -a --json --max-parallel --ca --cert --key --user --password-file --help" ;;
	"plan pin") words="--addr -a --json --hash --ca --cert --key --user --password-file --help" ;;
	"plan unpin") words="--addr -a --json --hash --ca --cert --key --user --password-file --help" ;;
	"add") words="--addr -a --json --verbose -v --tag -t --standby --slow-start --plan --if-plan --ca --cert --key --user --password-file --help" ;;
	"update") words="--addr -a --json --verbose -v --slow-start --plan --if-plan --ca --cert --key --user --password-file --help" ;;
	"remove") words="--addr -a --json --verbose -v --plan --if-plan --ca --cert --key --user --password-file --help" ;;
	"up") words="--addr -a --json --verbose -v --slow-start --plan --if-plan --ca --cert --key --user --password-file --help" ;;
	"down") words="--addr -a --json --verbose -v --plan --if-plan --ca --cert --key --user --password-file --help" ;;
	"drain") words="--addr -a --json --verbose -v --by --over --max-parallel --plan --if-plan --force --wait --ca --cert --key --user --password-file --help" ;;
	"undrain") words="--addr -a --json --verbose -v --slow-start --plan --if-plan --ca --cert --key --user --password-file --help" ;;
	"move") words="--addr -a --json --verbose -v --wait --ca --cert --key --user --password-file --help" ;;
	"kick") words="--addr -a --json --verbose -v --field -f --ca --cert --key --user --password-file --help" ;;
	"flush") words="--addr -a --verbose -v --json --forget -F --max-parallel --watch --cancel --plan --if-plan --ca --cert --key --user --password-file --help" ;;
	"rebalance") words="--addr -a --json --verbose -v --by --over --max-parallel --plan --if-plan --wait --ca --cert --key --user --password-file --help" ;;
	"pin") words="--addr -a --json --verbose -v --hash --wait --plan --if-plan --ca --cert --key --user --password-file --help" ;;
	"unpin") words="--addr -a --json --verbose -v --hash --plan --if-plan --ca --cert --key --user --password-file --help" ;;
	"import") words="--addr -a --json --from --follow --ca --cert --key --user --password-file --help" ;;
	"ring") words="status add remove" ;;
	"ring status") words="--addr -a --json --wait --timeout --ca --cert --key --user --password-file --help" ;;
	"ring add") words="--addr -a --json --verbose -v --ca --cert --key --user --password-file --help" ;;
	"ring remove") words="--addr -a --json --verbose -v --ca --cert --key --user --password-file --help" ;;
	"keys") words="list rotate add use remove generate" ;;
	"keys list") words="--addr -a --json --ca --cert --key --user --password-file --help" ;;
	"keys rotate") words="--addr -a --json --verbose -v --without --from-file --ca --cert --key --user --password-file --help" ;;
	"keys add") words="--addr -a --json --verbose -v --ca --cert --key --user --password-file --help" ;;
	"keys use") words="--addr -a --json --verbose -v --without --ca --cert --key --user --password-file --help" ;;
	"keys remove") words="--addr -a --json --verbose -v --without --ca --cert --key --user --password-file --help" ;;
	"keys generate") words="--help" ;;
	"reload") words="--addr -a --json --ca --cert --key --user --password-file --help" ;;
	"data") words="inspect" ;;
	"data inspect") words="--json --help" ;;
	"bench") words="--addr -a --json --door --rate --depth --connections --duration --patience --users --names --tag --zipf --each --moves --password --service --seed --help" ;;
	"version") words="--json --help" ;;
	"completion") words="--help" ;;
	"man") words="--help" ;;
	esac
	case $cur in
	-*) ;;
	*) case "$place $args" in
		"update 0") words="$(_director_ask "${addr[@]}" status)" ;;
		"remove 0") words="$(_director_ask "${addr[@]}" status)" ;;
		"up 0") words="$(_director_ask "${addr[@]}" status)" ;;
		"down 0") words="$(_director_ask "${addr[@]}" status)" ;;
		"map 0") words="$(_director_ask "${addr[@]}" status)" ;;
		"drain 0") words="$(_director_ask "${addr[@]}" status)" ;;
		"undrain 0") words="$(_director_ask "${addr[@]}" status)" ;;
		"plan update 0") words="$(_director_ask "${addr[@]}" status)" ;;
		"plan remove 0") words="$(_director_ask "${addr[@]}" status)" ;;
		"plan up 0") words="$(_director_ask "${addr[@]}" status)" ;;
		"plan down 0") words="$(_director_ask "${addr[@]}" status)" ;;
		"plan drain 0") words="$(_director_ask "${addr[@]}" status)" ;;
		"plan undrain 0") words="$(_director_ask "${addr[@]}" status)" ;;
		"plan flush 0") words="all $(_director_ask "${addr[@]}" status)" ;;
		"plan pin 1") words="$(_director_ask "${addr[@]}" status)" ;;
		"flush 0") words="all $(_director_ask "${addr[@]}" status)" ;;
		"move 1") words="$(_director_ask "${addr[@]}" status)" ;;
		"pin 1") words="$(_director_ask "${addr[@]}" status)" ;;
		"ring remove 0") words="$(_director_ask "${addr[@]}" ring status)" ;;
		"completion 0") words="bash zsh fish" ;;
		"man 0") words="director director.yaml" ;;
		esac ;;
	esac
	case $prev in
	--config | --kick-command | --encrypt-key-file | --data-dir | --run-dir | --web-config-file | --login-socket | --auth-login-socket | --userdb-socket | --auth-userdb-socket | --authreply-socket | --admin-socket | --kick-ipc | --kick-anvil | --backend-doveadm-key | --health-login | --addr | -a | --file | -f | --ca | --cert | --key | --password-file | --from) files=1 ;;
	--log-level) words="debug info warn error" ;;
	--log-format) words="json text" ;;
	--door) words="authreply http login userdb" ;;
	--as | --node-name | --mesh-name | --bind | --advertise | --join | --resolve-every | --mail-servers | --user-expire | --user-kick-delay | --username-hash | --max-parallel-moves | --max-parallel-kicks | --data-dir-damaged | --history-size | --history-age | --socket-mode | --http-readers | --http-admins | --http-hosts | --http | --metrics | --login-socket-mode | --userdb-socket-mode | --authreply-socket-mode | --master-user-separator | --admin-socket-mode | --admin-tcp | --sessions-interval | --flush-socket | --backend-doveadm | --health-check | --slow-start | --balance | --balance-load | --event-command | --event-url | --event-kinds | --socket | --user | --if-plan | --hash | --name | -u | --number | -n | --since | --until | --at | --kinds | --host | --output | -o | --tag | -t | --by | --over | --max-parallel | --field | --timeout | --without | --rate | --depth | --connections | --duration | --patience | --users | --names | --zipf | --password | --service | --seed) words= ;;
	esac
	if [ -n "$files" ]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	fi
}
complete -o filenames -F _director director
