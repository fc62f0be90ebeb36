//#for i NR
//#for m M
    store(first_row + $(m)u, base + $(i)u, acc_$(i)_$(m));
//#end
//#end
