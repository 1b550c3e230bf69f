# Names of data, where `-p` or `--` says whose: `hwtrace list` knows them.
_hwtrace_data() {
    local program= command= i
    for ((i = 2; i <= $#words; i++)); do
        case "$words[i]" in
            (watch|list) [[ -n $command ]] || command=$words[i] ;;
            (-p|-x|--) program=$words[i+1] ;;
        esac
    done
    if [[ -z $command || -z $program || $PREFIX == -* || $words[CURRENT-1] == -* ]]; then
        _hwtrace "$@"
        return
    fi
    local -a names
    names=(${(f)"$(hwtrace list -p $program --format names "${(Q)PREFIX}*" 2>/dev/null | head -n 1000)"})
    compadd -a names
}
compdef _hwtrace_data hwtrace
