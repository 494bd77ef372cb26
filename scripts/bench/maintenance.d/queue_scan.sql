SELECT count(*), max(length(payload)) FROM job WHERE id BETWEEN :first AND :first + 999;
