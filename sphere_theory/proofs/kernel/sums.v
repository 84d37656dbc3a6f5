(* Finite sums of real numbers, and Cauchy–Schwarz for them. *)
From Coq Require Import Reals Lra Lia Psatz.
From SphereTheory Require Import definitions.
Open Scope R_scope.

Lemma sum_ext n f g : (forall i, (i < n)%nat -> f i = g i) -> sum n f = sum n g.
Proof. induction n; simpl; intros H; [ reflexivity | ]. rewrite IHn, H; auto with arith. Qed.

Lemma sum_le n f g : (forall i, (i < n)%nat -> f i <= g i) -> sum n f <= sum n g.
Proof. induction n; simpl; intros H; [ lra | ]. apply Rplus_le_compat; auto with arith. Qed.

Lemma sum_zero n : sum n (fun _ => 0) = 0.
Proof. induction n; simpl; lra. Qed.

Lemma sum_nonneg n f : (forall i, (i < n)%nat -> 0 <= f i) -> 0 <= sum n f.
Proof. intros H. rewrite <- (sum_zero n). now apply sum_le. Qed.

Lemma sum_plus n f g : sum n (fun i => f i + g i) = sum n f + sum n g.
Proof. induction n; simpl; lra. Qed.

Lemma sum_minus n f g : sum n (fun i => f i - g i) = sum n f - sum n g.
Proof. induction n; simpl; lra. Qed.

Lemma sum_scal n a f : sum n (fun i => a * f i) = a * sum n f.
Proof. induction n; simpl; [ | rewrite IHn ]; ring. Qed.

Lemma sum_swap n m f : sum n (fun i => sum m (f i)) = sum m (fun j => sum n (fun i => f i j)).
Proof.
  induction n; simpl.
  - symmetry. apply sum_zero.
  - rewrite IHn, <- sum_plus. reflexivity.
Qed.

Lemma Rabs_sum n f : Rabs (sum n f) <= sum n (fun i => Rabs (f i)).
Proof.
  induction n; simpl; [ rewrite Rabs_R0; lra | ].
  eapply Rle_trans; [ apply Rabs_triang | ]. apply Rplus_le_compat_r, IHn.
Qed.

Lemma sum_pick n i f : (i < n)%nat -> sum n (fun j => if Nat.eq_dec i j then f j else 0) = f i.
Proof.
  induction n; intros Hi; [ lia | ]. simpl. destruct (Nat.eq_dec i n) as [-> | Hne].
  - rewrite (sum_ext n _ (fun _ => 0)), sum_zero; [ ring | ].
    intros j Hj. destruct (Nat.eq_dec n j); [ lia | reflexivity ].
  - rewrite IHn by lia. ring.
Qed.

Lemma term_le_sum n f i : (forall j, (j < n)%nat -> 0 <= f j) -> (i < n)%nat -> f i <= sum n f.
Proof.
  intros H Hi. rewrite <- (sum_pick n i f Hi). apply sum_le; intros j Hj.
  destruct (Nat.eq_dec i j); [ lra | now apply H ].
Qed.

Lemma sum_split n i f : (i < n)%nat -> sum n f = f i + others n i f.
Proof.
  intros Hi. rewrite <- (sum_pick n i f Hi). unfold others. rewrite <- sum_plus. apply sum_ext; intros j _.
  destruct (Nat.eq_dec i j); ring.
Qed.

Lemma two_terms_le_sum n f i j : (forall k, (k < n)%nat -> 0 <= f k) ->
  (i < n)%nat -> (j < n)%nat -> i <> j ->
  f i + f j <= sum n f.
Proof.
  intros H Hi Hj Hij. rewrite (sum_split n i f Hi). apply Rplus_le_compat_l. unfold others.
  assert (E : f j = if Nat.eq_dec i j then 0 else f j)
    by (destruct (Nat.eq_dec i j); [ contradiction | reflexivity ]).
  rewrite E at 1. apply (term_le_sum n (fun k => if Nat.eq_dec i k then 0 else f k)); [ | exact Hj ].
  intros k Hk. destruct (Nat.eq_dec i k); [ lra | auto ].
Qed.

Lemma le_largest n f i : (i < n)%nat -> f i <= largest n f.
Proof.
  induction n; intros Hi; [ lia | ]. simpl. destruct (Nat.eq_dec i n) as [-> | Hne]; [ apply Rmax_r | ].
  eapply Rle_trans; [ apply IHn; lia | apply Rmax_l ].
Qed.

Lemma largest_nonneg n f : 0 <= largest n f.
Proof. induction n; simpl; [ lra | eapply Rle_trans; [ exact IHn | apply Rmax_l ] ]. Qed.

Lemma others_ext n i f g : (forall j, (j < n)%nat -> i <> j -> f j = g j) -> others n i f = others n i g.
Proof. intros H. apply sum_ext; intros j Hj. destruct (Nat.eq_dec i j); auto. Qed.

Lemma others_le n i f g : (forall j, (j < n)%nat -> i <> j -> f j <= g j) -> others n i f <= others n i g.
Proof. intros H. apply sum_le; intros j Hj. destruct (Nat.eq_dec i j); [ lra | auto ]. Qed.

Lemma others_nonneg n i f : (forall j, (j < n)%nat -> i <> j -> 0 <= f j) -> 0 <= others n i f.
Proof. intros H. apply sum_nonneg; intros j Hj. destruct (Nat.eq_dec i j); [ lra | auto ]. Qed.

Lemma others_scal n i a f : others n i (fun j => a * f j) = a * others n i f.
Proof. unfold others. rewrite <- sum_scal. apply sum_ext; intros j _. destruct (Nat.eq_dec i j); ring. Qed.

Lemma others_plus n i f g : others n i (fun j => f j + g j) = others n i f + others n i g.
Proof. unfold others. rewrite <- sum_plus. apply sum_ext; intros j _. destruct (Nat.eq_dec i j); ring. Qed.

Lemma others_minus n i f g : others n i (fun j => f j - g j) = others n i f - others n i g.
Proof. unfold others. rewrite <- sum_minus. apply sum_ext; intros j _. destruct (Nat.eq_dec i j); ring. Qed.

(* the ordered pairs i ≠ j, counted from either end *)
Lemma others_swap n f : sum n (fun i => others n i (f i)) = sum n (fun j => others n j (fun i => f i j)).
Proof.
  unfold others. rewrite (sum_swap n n (fun i j => if Nat.eq_dec i j then 0 else f i j)).
  apply sum_ext; intros j _. apply sum_ext; intros i _.
  destruct (Nat.eq_dec i j), (Nat.eq_dec j i); congruence || reflexivity.
Qed.

(* Σ_{i≠j} a_ij (x_i + x_j) = Σ_i 2 x_i Σ_{j≠i} a_ij, for a_ij = a_ji *)
Lemma sum_pairs n a x : (forall i j, a i j = a j i) ->
  sum n (fun i => others n i (fun j => a i j * (x i + x j))) = sum n (fun i => 2 * x i * others n i (a i)).
Proof.
  intros Ha.
  transitivity (sum n (fun i => others n i (fun j => x i * a i j))
    + sum n (fun i => others n i (fun j => x j * a i j))).
  - rewrite <- sum_plus. apply sum_ext; intros i _. rewrite <- others_plus. apply others_ext; intros; ring.
  - rewrite (others_swap n (fun i j => x j * a i j)), <- sum_plus. apply sum_ext; intros i _.
    rewrite others_scal. rewrite (others_ext n i (fun j => x i * a j i) (fun j => x i * a i j)).
    + rewrite others_scal. ring.
    + intros j _ _. now rewrite (Ha j i).
Qed.

(* (Σ f_i g_i)² ≤ Σ f_i² Σ g_i² *)
Lemma cauchy_schwarz n f g :
  sum n (fun i => f i * g i) * sum n (fun i => f i * g i) <=
    sum n (fun i => f i * f i) * sum n (fun i => g i * g i).
Proof.
  induction n; simpl; [ lra | ].
  assert (HF : 0 <= sum n (fun i => f i * f i)) by (apply sum_nonneg; intros; nra).
  assert (HG : 0 <= sum n (fun i => g i * g i)) by (apply sum_nonneg; intros; nra).
  set (F := sum n (fun i => f i * f i)) in *. set (G := sum n (fun i => g i * g i)) in *.
  set (P := sum n (fun i => f i * g i)) in *. set (a := f n). set (b := g n).
  (* 2 P a b ≤ F b² + G a², because (F b² + G a²)² ≥ 4 F G a² b² ≥ (2 P a b)² *)
  assert (H : 2 * P * (a * b) <= F * (b * b) + G * (a * a)).
  { set (L := F * (b * b)). set (M := G * (a * a)).
    assert (HL : 0 <= L) by (apply Rmult_le_pos; [ exact HF | nra ]).
    assert (HM : 0 <= M) by (apply Rmult_le_pos; [ exact HG | nra ]).
    assert (Hq : (2 * P * (a * b)) * (2 * P * (a * b)) <= (L + M) * (L + M)).
    { assert (P * P * ((a * b) * (a * b)) <= F * G * ((a * b) * (a * b)))
        by (apply Rmult_le_compat_r; [ nra | exact IHn ]).
      assert (F * G * ((a * b) * (a * b)) = L * M) by (unfold L, M; ring).
      pose proof (Rle_0_sqr (L - M)) as Q. unfold Rsqr in Q. lra. }
    destruct (Rle_lt_dec (2 * P * (a * b)) (L + M)) as [Hle | Hgt]; [ exact Hle | exfalso; nra ]. }
  lra.
Qed.

Lemma cauchy_schwarz_sqrt n f g :
  sum n (fun i => f i * g i) <= sqrt (sum n (fun i => f i * f i)) * sqrt (sum n (fun i => g i * g i)).
Proof.
  pose proof (cauchy_schwarz n f g) as H.
  assert (HF : 0 <= sum n (fun i => f i * f i)) by (apply sum_nonneg; intros; nra).
  assert (HG : 0 <= sum n (fun i => g i * g i)) by (apply sum_nonneg; intros; nra).
  rewrite <- sqrt_mult by assumption.
  apply Rle_trans with (Rabs (sum n (fun i => f i * g i))); [ apply Rle_abs | ].
  rewrite <- sqrt_Rsqr_abs. apply sqrt_le_1_alt. exact H.
Qed.
