# Names of data, where `-p` or `--` says whose: `hwtrace list` knows them.
_hwtrace_data() {
    local program= command= word i
    for ((i = 1; i < ${#COMP_WORDS[@]}; i++)); do
        case "${COMP_WORDS[i]}" in
            watch | list) [[ $command ]] || command=${COMP_WORDS[i]} ;;
            -p | -x | --) program=${COMP_WORDS[i + 1]} ;;
        esac
    done
    # Not split at colons, as COMP_WORDS is: `app::Pool::li`.
    word=${COMP_LINE:0:COMP_POINT}
    word=${word##* }
    word=${word#[\'\"]}
    if [[ -z $command || -z $program || $word == -* || ${COMP_WORDS[COMP_CWORD - 1]} == -* ]]; then
        _hwtrace "$@"
        return
    fi
    mapfile -t COMPREPLY < <(hwtrace list -p "$program" --format names "$word*" 2>/dev/null | head -n 1000)
    COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}")
}
complete -F _hwtrace_data -o bashdefault -o default hwtrace
