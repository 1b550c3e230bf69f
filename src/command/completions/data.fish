# Names of data, where `-p` or `--` says whose: `hwtrace list` knows them.
function __hwtrace_data
    set -l words (commandline -opc) (commandline -ct)
    set -l program
    for i in (seq (count $words))
        if contains -- $words[$i] -p -x
            set program $words[(math $i + 1)]
        end
    end
    test -n "$program"
    and hwtrace list -p $program --format names (commandline -ct)'*' 2>/dev/null | head -n 1000
end
complete -c hwtrace -n '__fish_seen_subcommand_from watch list' -f -a '(__hwtrace_data)'
