# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The texts of the report for a period, in Brazilian Portuguese. words_en.py has the same keys."""

from __future__ import annotations

WORDS = {
    "language": "pt-BR",
    "title": "Evidências da operação",
    "skip": "Ir para o conteúdo",
    "period": "Período",
    "to": "a",
    "system": "Sistema",
    "host": "Servidor",
    "environment": "Ambiente",
    "lines_of": "linhas: {count}",
    "begins": "O registro encadeado começa em {day}; antes disso, nada consta.",
    "none_since": "Nada consta desde {day}, quando o registro encadeado começa.",
    "made_at": "Exportado em",
    "zone": "Todos os horários são de São Paulo, salvo indicação em contrário.",
    "reading": "O número de uma linha é o seu seq em ledger/lines.jsonl ou ledger/earlier.jsonl da"
    " exportação. NÃO MEDIDO significa que não há como saber; nunca conta como êxito. Não consta"
    " significa que a linha não tem essa informação. O que pessoas ou o sistema gravaram em inglês,"
    " e não tem tradução conhecida, permanece em inglês.",
    "not_on_record": "não consta",
    "nothing": "nenhuma",
    "signed_by": "Assinado pela chave",
    "period_open": "O período ainda não terminou: o que vier depois da exportação não consta deste"
    " relatório.",
    "empty": "Este período está vazio: o registro encadeado não tem nenhuma linha dele.",
    "whole": "O registro encadeado está íntegro: o próprio servidor {host}, que fez esta"
    " exportação, verificou a cadeia e as assinaturas em {moment}. Ninguém mais as verificou.",
    "clock": "Relógio",
    "at_most": "desvio de no máximo {offset}",
    "code": "Código",
    "run_ids": "Os nomes de execuções, cópias e incidentes começam com um horário em UTC.",
    "confidential": "Confidencial: os documentos de execuções e de incidentes deste pacote (zip)"
    " contêm posições, preços e lucros e perdas do fundo, quando uma verificação ou um incidente"
    " os anotou.",
    "problems": "O que não é confiável",
    "problems_lead": "As próprias evidências estão danificadas ou incompletas. Cada falha é"
    " indicada aqui, e o verify.py a encontra novamente. Os textos do sistema estão em inglês.",
    "notes": "Observações do registro encadeado",
    "none": "Nada consta neste período.",
    "table": "Tabela",
    "scroll": "A tabela é larga: role-a para o lado.",
    "line": "Linha",
    "at": "Horário",
    "verdict": "Resultado",
    "pass": "com êxito",
    "fail": "com falha",
    "not_measured": "NÃO MEDIDO",
    "why": "Motivo",
    "who": "Responsável",
    "set": "Cópia",
    "key": "Chave",
    "of_database": "do banco de dados",
    "line_of": "linha",
    # At a glance
    "glance": "Visão geral",
    "tile_runs": "execuções da lista de verificação com êxito",
    "tile_unanswered": "execuções com êxito têm impeditivas que não foram medidas",
    "tile_unanswered_1": "execução com êxito tem impeditivas que não foram medidas",
    "tile_sets": "cópias de segurança comprovadas",
    "tile_drills": "testes de restauração e provas com êxito",
    "tile_missed": "execuções previstas e não realizadas",
    "tile_missed_1": "execução prevista e não realizada",
    "tile_incidents": "incidentes",
    "tile_incidents_1": "incidente",
    "tile_deficiencies": "deficiências em aberto",
    "tile_deficiencies_1": "deficiência em aberto",
    # Planned and done
    "plan": "Previsto, realizado, com falha, não realizado",
    "plan_lead": "O cronograma comparado com o registro encadeado. Uma execução consta como não"
    " realizada se o registro encadeado não tem nenhuma linha dela antes da próxima prevista:"
    " ela não ocorreu ou falhou antes de gravar uma linha.",
    "no_plan": "NÃO MEDIDO: este servidor não tem um cronograma que possa ser lido; portanto, não"
    " se sabe o que estava previsto.",
    "job": "Tarefa",
    "when": "Quando (São Paulo)",
    "planned": "Previstas",
    "done": "Realizadas",
    "failed": "Com falha",
    "missed": "Não realizadas",
    "missed_at": "Não realizadas em",
    "more": "a mais",
    "failed_before": "Contadas como realizadas após uma falha anterior; previstas para",
    "unknown_until": "NÃO MEDIDO antes de {moment}: o cronograma ainda não era conhecido",
    "unrecorded": "NÃO MEDIDO: o registro encadeado não tem linhas desta tarefa",
    "daily": "diariamente",
    "business_days": "nos dias úteis da B3",
    "week_start": "no primeiro dia útil da semana",
    "month_start": "no primeiro dia útil do mês",
    "Mon": "às segundas-feiras",
    "Tue": "às terças-feiras",
    "Wed": "às quartas-feiras",
    "Thu": "às quintas-feiras",
    "Fri": "às sextas-feiras",
    "Sat": "aos sábados",
    "Sun": "aos domingos",
    # Runs
    "runs": "Execuções da lista de verificação",
    "run": "Execução",
    "checks": "Verificações com êxito",
    "checks_of": "{passed} de {total}",
    "attested_more": "e {count} atestadas por uma pessoa",
    "pass_warned": "com êxito, mas com alertas",
    "unanswered": "Impeditivas não medidas, {count}",
    "unmeasured_checks": "Não medidas",
    "blocking": "Impeditivas",
    "control": "Controle negativo",
    "partial": "parcial",
    "failed_checks": "Verificações com falha",
    "waived_checks": "Sem êxito, mas dispensadas",
    "flaky_checks": "Com êxito apenas em nova tentativa (instáveis)",
    "found": "detectado",
    "not_found": "NÃO DETECTADO: a prova não é válida",
    # Sets
    "sets": "Cópias de segurança e quais foram comprovadas",
    "sets_lead": "Uma cópia está comprovada se um teste, uma prova ou uma restauração recuperou as"
    " linhas e os objetos do seu banco de dados e os encontrou iguais ao original. O que a prova"
    " não cobriu é indicado ao lado. O que ninguém testou não está comprovado.",
    "not_proved_of": "A prova não cobriu",
    "encrypted": "Criptografada",
    "yes": "sim",
    "no": "não",
    "left_out": "Deixado fora desta cópia",
    "ran_by": "Executado por; ordem/chamado",
    "made": "Feita em",
    "size": "Tamanho",
    "rows": "Linhas de dados",
    "proved": "Comprovada",
    "not_proved": "não comprovada",
    "state": "Na data da exportação",
    "there": "presente no disco",
    "held": "bloqueada contra exclusão",
    "damaged": "danificada",
    "set_aside": "separada como danificada: a pasta termina em .damaged",
    "removed": "excluída",
    "unknown": "NÃO MEDIDO: não está em disco, e nenhuma linha informa a sua exclusão",
    # Times
    "times": "Tempo e ponto de recuperação em relação às metas",
    "times_lead": "Cada teste de restauração e cada prova do período. Um teste cujo valor não foi"
    " medido não tem ponto na curva.",
    "rto": "Tempo de recuperação (RTO)",
    "rpo": "Ponto de recuperação (RPO)",
    "target": "meta",
    "no_target": "sem meta",
    "over": "acima da meta",
    "within": "dentro da meta",
    "of_measured": "das fases medidas",
    "interval": "Maior tempo sem uma nova cópia, até o fim do período ou até a exportação",
    "where": "Onde",
    "here": "no próprio servidor",
    "segregated": "ambiente segregado",
    "not_segregated": "ambiente não segregado",
    "chart_of": "{what}, em {unit}. A linha sem pontos é a meta.",
    "chart_without": "{what}, em {unit}",
    "no_times": "NÃO MEDIDO: nenhum teste deste período informa quanto tempo levou.",
    "phases": "Fases",
    "elapsed": "Do início da execução à sua anotação:",
    "detect": "detectar",
    "decide": "decidir",
    "fetch": "buscar",
    "restore_phase": "restaurar",
    "verify": "verificar",
    "resume": "retomar",
    # Waivers
    "waivers": "Dispensas em vigor",
    "check": "Verificação",
    "since": "De",
    "until": "Até",
    # Holds and deletions
    "holds": "Bloqueios de exclusão e exclusões",
    "holds_now": "Bloqueios de exclusão na data da exportação",
    "hold_acts": "Bloqueios que vigoraram e bloqueios revogados",
    "hold_acts_lead": "Versões anteriores à 0.2.0 não anotavam bloqueios.",
    "hold_held": "bloqueio",
    "hold_lifted": "bloqueio revogado",
    "held_since": "Bloqueada desde",
    "no_holds": "Nenhuma cópia em disco está bloqueada.",
    "deletions": "Exclusões",
    "by_policy": "pela política de retenção",
    "by_person": "por uma pessoa, ou dada como ausente",
    "on_site": "em outro local",
    # Restores and disasters
    "restores": "Restaurações e desastres",
    "restores_of": "Restaurações, trocas e reversões",
    "kind": "Tipo",
    "kind_restore": "restauração",
    "kind_swap": "troca",
    "kind_rollback": "reversão",
    "kind_host": "nova máquina",
    "down": "PMS indisponível por",
    "former": "Banco de dados substituído",
    "incidents": "Incidentes",
    "incident": "Incidente",
    "began": "Início",
    "closed": "Encerramento",
    "open": "em aberto",
    "recovery": "Duração da recuperação",
    "cause": "Causa",
    "data_loss": "Perda de dados",
    "loss_not_measured": "NÃO MEDIDO: o roteiro de recuperação não anotou perda e não comparou"
    " cada linha de dados",
    "incidents_lead": "O início de um incidente é, aqui, o momento em que o roteiro que o"
    " recuperou foi iniciado. Quando a falha em si começou está NÃO MEDIDO: ninguém o anotou. A"
    " recuperação durou desse início até o fim das verificações; o tempo até alguém perceber a"
    " falha não está incluído.",
    "unreadable": "o seu documento não pode ser lido",
    # Checklists
    "checklists": "Versões da lista de verificação",
    "version": "Versão (SHA-256)",
    "first_run": "Primeira execução",
    "last_run": "Última execução",
    "runs_count": "Execuções",
    "checks_count": "Verificações (impeditivas)",
    "added": "Incluídas",
    "first_version": "primeira versão do período",
    "unchanged": "nenhuma",
    "dropped": "Retiradas",
    # Not covered
    "not_covered": "O que não está coberto",
    "not_covered_lead": "Os próprios documentos informam o que não cobrem.",
    "records_count": "Documentos",
    "not_covered_none": "Nenhum documento deste período indica algo.",
    # Mapping
    "mapping": "Onde cada norma pode procurar",
    "mapping_lead": "Esta tabela segue apenas títulos e não é um parecer jurídico. A assessoria"
    " jurídica deve confirmar, para cada norma, se ela se aplica e se estas evidências a atendem.",
    "rule": "Norma, pelo título",
    "sections": "Seções deste relatório",
    "gaps": "O que falta nestas seções",
    "gap_none": "nenhuma linha",
    "rule_dora": "DORA, artigo 12: políticas e procedimentos de cópia de segurança, procedimentos e"
    " métodos de restauração e recuperação",
    "rule_cvm": "Resolução CVM 21: relatório anual sobre regras, procedimentos e controles"
    " internos",
    "rule_anbima": "ANBIMA: plano de continuidade de negócios e o seu teste anual",
    "rule_soc_12": "SOC 2, A1.2: processos de cópia de segurança de dados e infraestrutura de"
    " recuperação",
    "rule_soc_13": "SOC 2, A1.3: testes dos procedimentos do plano de recuperação",
    "rule_iso": "ISO/IEC 27001:2022, A.8.13: cópias de segurança das informações",
    # How to check
    "proof": "Como conferir",
    "proof_lead": "Este relatório é um arquivo de uma exportação assinada. Descompacte a exportação"
    " e execute:",
    "key_got": "CHAVE",
    "proof_key": "CHAVE é o identificador da chave, obtido por outro meio que não esta exportação."
    " Sem o pacote cryptography, o verify.py informa que as assinaturas não foram verificadas.",
    "proof_claim": "Assinada por esta chave, segundo a própria exportação:",
    "anchored": "Carimbos do tempo e outras âncoras do registro encadeado",
    "anchor": "Âncora",
    "anchors_none": "NÃO MEDIDO: a exportação não tem carimbo do tempo do registro encadeado;"
    " portanto, o fim dele depende apenas da palavra desta máquina.",
    "last_line": "Linha",
    "note": "anotado aqui; consulte o próprio destino",
    "footer": "Feito pelo pms-ops dos arquivos desta exportação. Nada é carregado de fora.",
    "readme": "Evidências de {system}, de {since} a {until}.\n\n"
    "O relatório está em report.html. Confira a exportação inteira, sem rede, apenas com Python:\n"
    "\n    python3 -I verify.py --key CHAVE\n\n"
    "CHAVE é o identificador da chave de assinatura, que deve ser obtido por outro meio que não\n"
    "esta exportação. Sem --key, o código de saída é 4: íntegra em si mesma, mas qualquer pessoa\n"
    "poderia tê-la feito. As assinaturas requerem o pacote cryptography; sem ele, o código é 3:\n"
    "nada foi autenticado. Com -I, o Python não importa nada desta pasta.\n\n"
    "anchors/NOME/*.tsr são carimbos do tempo de uma autoridade (RFC 3161): cada um informa que\n"
    "uma linha do registro encadeado existia em certo horário. O certificado raiz ao lado deles é\n"
    "a palavra deste sistema. Obtenha a raiz da própria autoridade e confira os carimbos com ela:\n"
    "\n    python3 -I verify.py --key CHAVE --tsa-ca raiz.pem\n\n"
    "Uma linha do tipo approval contém o que uma segunda pessoa assinou antes da execução de um\n"
    "plano. A quem pertence a chave também é a palavra deste sistema. Com os identificadores que\n"
    "essas pessoas informaram:\n"
    "\n    python3 -I verify.py --key CHAVE --approver CHAVE-DE-ANA --approver CHAVE-DE-BRUNO\n\n"
    "Informe a chave de cada pessoa que pode aprovar: outra chave numa aprovação é BROKEN.\n\n"
    "python3 -I verify.py --help descreve cada tipo de arquivo e cada código (em inglês).\n\n"
    "O nome de um arquivo em checklists é o SHA-256 do arquivo. O campo checklist_sha256, que os\n"
    "documentos e o registro encadeado citam, é o SHA-256 do YAML da lista de verificação, lido e\n"
    "escrito como JSON com chaves ordenadas; o YAML não está nesta exportação.\n",
}
